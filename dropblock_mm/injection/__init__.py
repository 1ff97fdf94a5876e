"""Put DropBlock2d layers into built models, and take them out again."""

from dropblock_mm.injection.inject import (
    detach_drop_block,
    inject_drop_block,
    inject_targets,
)
from dropblock_mm.injection.report import format_sites
from dropblock_mm.injection.sites import Place, Site
from dropblock_mm.injection.targets import Target, parse_targets

__all__ = [
    'Place',
    'Site',
    'Target',
    'detach_drop_block',
    'format_sites',
    'inject_drop_block',
    'inject_targets',
    'parse_targets',
]
