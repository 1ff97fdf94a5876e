"""Where a model looks: class activation maps, and how far they spread."""
