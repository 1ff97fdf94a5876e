"""Put regularisers into built models, and take them out again."""

from dropblock_mm.injection.graph import trace
from dropblock_mm.injection.inject import (
    detach,
    detach_drop_block,
    inject,
    inject_drop_block,
)
from dropblock_mm.injection.places import Place, Way
from dropblock_mm.injection.report import format_sites
from dropblock_mm.injection.sites import Site, Sites, inject_targets
from dropblock_mm.injection.targets import Defaults, Target, parse_targets
from dropblock_mm.injection.walk import register_block_adapter

__all__ = [
    'Defaults',
    'Place',
    'Site',
    'Sites',
    'Target',
    'Way',
    'detach',
    'detach_drop_block',
    'format_sites',
    'inject',
    'inject_drop_block',
    'inject_targets',
    'parse_targets',
    'register_block_adapter',
    'trace',
]
