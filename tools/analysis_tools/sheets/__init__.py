"""Parts of the tools that draw sheets of predictions."""
