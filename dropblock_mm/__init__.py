"""DropBlock (Ghiasi, Lin, Le, NeurIPS 2018) for OpenMMLab models, and its kin.

Names are imported when they are first asked for: what needs torch alone works without
MMEngine, and importing this package costs next to nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from dropblock_mm.version import __version__

if TYPE_CHECKING:
    from dropblock_mm.config_files import config_path, resolve_config
    from dropblock_mm.hooks import (
        DropBlockInjectionHook,
        InjectionHook,
        KeepProbScheduleHook,
        KeepRateHook,
    )
    from dropblock_mm.injection import (
        detach,
        detach_drop_block,
        inject,
        inject_drop_block,
        register_block_adapter,
    )
    from dropblock_mm.layers import (
        DropBlock1d,
        DropBlock2d,
        DropBlock3d,
        Dropout,
        DropPath,
        KeepProbSchedule,
        ScheduledDrop,
        SpatialDropout,
    )
    from dropblock_mm.models.backbones.amoebanet import AmoebaNet
    from dropblock_mm.models.decode_heads.retina_seg_head import RetinaSegHead
    from dropblock_mm.ops import (
        drop_block_1d,
        drop_block_2d,
        drop_block_3d,
        expected_keep_rate,
        seed_rate,
    )
    from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe

_HOMES = {
    'AmoebaNet': 'models.backbones.amoebanet',
    'DropBlock1d': 'layers',
    'DropBlock2d': 'layers',
    'DropBlock3d': 'layers',
    'DropBlockInjectionHook': 'hooks',
    'DropPath': 'layers',
    'Dropout': 'layers',
    'InjectionHook': 'hooks',
    'KeepProbSchedule': 'layers',
    'KeepProbScheduleHook': 'hooks',
    'KeepRateHook': 'hooks',
    'RetinaSegHead': 'models.decode_heads.retina_seg_head',
    'ScheduledDrop': 'layers',
    'SpatialDropout': 'layers',
    'config_path': 'config_files',
    'detach': 'injection',
    'detach_drop_block': 'injection',
    'drop_block_1d': 'ops',
    'drop_block_2d': 'ops',
    'drop_block_3d': 'ops',
    'expected_keep_rate': 'ops',
    'inject': 'injection',
    'inject_drop_block': 'injection',
    'keep_loading_safe': 'runs.checkpoints.safe_loading',
    'register_block_adapter': 'injection',
    'resolve_config': 'config_files',
    'seed_rate': 'ops',
}

__all__ = [
    'AmoebaNet',
    'DropBlock1d',
    'DropBlock2d',
    'DropBlock3d',
    'DropBlockInjectionHook',
    'DropPath',
    'Dropout',
    'InjectionHook',
    'KeepProbSchedule',
    'KeepProbScheduleHook',
    'KeepRateHook',
    'RetinaSegHead',
    'ScheduledDrop',
    'SpatialDropout',
    '__version__',
    'config_path',
    'detach',
    'detach_drop_block',
    'drop_block_1d',
    'drop_block_2d',
    'drop_block_3d',
    'expected_keep_rate',
    'inject',
    'inject_drop_block',
    'keep_loading_safe',
    'register_block_adapter',
    'resolve_config',
    'seed_rate',
]


# What brings the packages that a name can need beside torch.
_BROUGHT_BY = {
    'mmengine': 'MMEngine, which is not installed. Run pip install mmengine, or '
    'onedl-mmengine for the maintained fork',
    'mmcv': "MMCV, which is not installed. Run pip install 'dropblock_mm[openmmlab]', "
    'or [onedl] for the maintained fork',
    'mmseg': 'MMSegmentation, which is not installed. Run pip install mmsegmentation, '
    'or onedl-mmsegmentation for the maintained fork',
}


def __getattr__(name: str) -> Any:
    """Import the home of a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    try:
        home = importlib.import_module(f'{__name__}.{_HOMES[name]}')
    except ModuleNotFoundError as error:
        missing = (error.name or '').partition('.')[0]
        if missing not in _BROUGHT_BY:
            raise
        from dropblock_mm.errors import MissingPackageError

        raise MissingPackageError(
            f'dropblock_mm.{name} needs {_BROUGHT_BY[missing]}; the op, the layers and '
            'inject_drop_block work without it.',
            name=missing,
        ) from error
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    """List the public names, whether imported yet or not."""
    return sorted({*globals(), *__all__})
