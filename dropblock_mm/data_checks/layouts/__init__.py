"""How data lie on the disk: one class for each layout, each in its own file.

A file in this folder is found by itself, and :func:`register` takes a layout from
anywhere else. See :class:`~dropblock_mm.data_checks.layouts.base.Layout`.
"""

from __future__ import annotations

import importlib
import pkgutil

from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.data_checks.layouts.base import LAYOUTS, Layout, Look, register

__all__ = ['LAYOUTS', 'Layout', 'Look', 'layout_of', 'register']

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f'{__name__}.{_module.name}')

_UNKNOWN = Layout()


def layout_of(entry: DataSetEntry) -> Layout:
    """Choose the layout of a data set, the one that was registered last."""
    return next((one for one in reversed(LAYOUTS) if one.takes(entry)), _UNKNOWN)
