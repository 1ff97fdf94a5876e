"""Where layers belong in a block: one small adapter per kind of block."""

from dropblock_mm.injection.adapters.registry import (
    Adapter,
    places_of,
    register_block_adapter,
)

__all__ = ['Adapter', 'places_of', 'register_block_adapter']
