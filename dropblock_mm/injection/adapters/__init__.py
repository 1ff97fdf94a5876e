"""Where layers belong in a block: one small adapter per kind of block."""
