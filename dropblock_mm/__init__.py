"""DropBlock (Ghiasi, Lin, Le, NeurIPS 2018) for OpenMMLab models."""

import importlib.util
from typing import TYPE_CHECKING, Any

# pip does not install it: two distributions, OpenMMLab's and the fork's, own its name.
if importlib.util.find_spec('mmengine') is None:
    raise ModuleNotFoundError(
        'dropblock_mm needs MMEngine, in plain PyTorch too, and it is not installed. '
        'Run pip install mmengine, or onedl-mmengine for the maintained fork.',
        name='mmengine',
    )

from dropblock_mm.config_files import config_path, resolve_config
from dropblock_mm.engine import DropBlockInjectionHook, KeepProbScheduleHook
from dropblock_mm.injection import (
    detach_drop_block,
    inject_drop_block,
    register_block_adapter,
)
from dropblock_mm.models import DropBlock2d
from dropblock_mm.ops import drop_block_2d, expected_keep_rate, seed_rate
from dropblock_mm.version import __version__

if TYPE_CHECKING:
    from dropblock_mm.models.decode_heads import RetinaSegHead

__all__ = [
    'DropBlock2d',
    'DropBlockInjectionHook',
    'KeepProbScheduleHook',
    'RetinaSegHead',
    '__version__',
    'config_path',
    'detach_drop_block',
    'drop_block_2d',
    'expected_keep_rate',
    'inject_drop_block',
    'register_block_adapter',
    'resolve_config',
    'seed_rate',
]


def __getattr__(name: str) -> Any:
    """Import what needs mmseg when it is first asked for."""
    if name != 'RetinaSegHead':
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    from dropblock_mm.models.decode_heads.retina_seg_head import RetinaSegHead

    return RetinaSegHead
