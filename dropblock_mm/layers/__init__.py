"""Layers: the regularisers that injection attaches and a schedule drives.

Every module of this folder is imported, so that a new regulariser is one file.
"""

import importlib
import pkgutil

from dropblock_mm.layers.drop_block import DropBlock1d, DropBlock2d, DropBlock3d
from dropblock_mm.layers.drop_path import DropPath
from dropblock_mm.layers.dropout import Dropout, SpatialDropout
from dropblock_mm.layers.keep_prob_schedule import KeepProbSchedule
from dropblock_mm.layers.names import LAYERS
from dropblock_mm.layers.scheduled_drop import ScheduledDrop

for _module in pkgutil.iter_modules(__path__, f'{__name__}.'):
    importlib.import_module(_module.name)

__all__ = [
    'LAYERS',
    'DropBlock1d',
    'DropBlock2d',
    'DropBlock3d',
    'DropPath',
    'Dropout',
    'KeepProbSchedule',
    'ScheduledDrop',
    'SpatialDropout',
]
