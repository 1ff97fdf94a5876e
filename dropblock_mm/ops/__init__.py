"""The maths of DropBlock and of its kin; imports torch only."""

from dropblock_mm.ops.drop_block import (
    drop_block_1d,
    drop_block_2d,
    drop_block_3d,
    drop_block_with_count,
)
from dropblock_mm.ops.rates import expected_keep_rate, seed_rate

__all__ = [
    'drop_block_1d',
    'drop_block_2d',
    'drop_block_3d',
    'drop_block_with_count',
    'expected_keep_rate',
    'seed_rate',
]
