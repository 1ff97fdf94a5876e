"""Where DropBlock goes in a model, and what it does on its maps."""
