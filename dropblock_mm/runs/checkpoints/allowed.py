"""What MMEngine's checkpoints hold beyond torch's defaults, piece by piece.

Torch's safe loading calls what a file names only if it is on a list. A name belongs on
it if whatever it is called with, and whatever state it is given, it does nothing but
keep data: no import, no attribute of the file's choosing, no call of what the file
hands over. Where a class can do more than that, a function that cannot stands in.
"""

from __future__ import annotations

import datetime
import pathlib
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

_STATISTICS = ('min', 'max', 'mean', 'current')
_ANNEALING = ('_annealing_cos', '_annealing_linear')
# bool, numbers, text and dates: their arrays are bytes. Arrays of objects, and of
# records, which can have objects in them, stay refused.
_DATA_CODES = '?bBhHiIlLqQefdgFDGUSMm'
# Immutable values of the standard library, built from numbers and text.
_VALUES = (
    frozenset,
    range,
    slice,
    datetime.date,
    datetime.datetime,
    datetime.time,
    datetime.timedelta,
    datetime.timezone,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    type(pathlib.Path()),
)


class _NameOnly:
    """Stands for a class that a file may name, but neither call nor fill.

    Args:
        functions: What the file may ask it for; they are not on the list themselves,
            so that a file can hold them and not call them.
    """

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self.functions = functions


# OneCycleLR keeps the function that it anneals by, a static one, and
# load_state_dict puts it back.
_ONE_CYCLE = _NameOnly({n: getattr(OneCycleParamScheduler, n) for n in _ANNEALING})


def _known_attribute(owner: Any, name: str) -> Any:
    """Stand in for ``getattr`` while a checkpoint is read.

    Pickled functions of a class are named ``getattr(HistoryBuffer, 'mean')``. The real
    ``getattr`` would let a file walk from any object to any other
    (``getattr(f, '__globals__')``), so only those that are known are answered.
    """
    if owner is HistoryBuffer and name in _STATISTICS:
        return getattr(HistoryBuffer, name)
    if owner is _ONE_CYCLE and name in _ANNEALING:
        return _ONE_CYCLE.functions[name]
    raise pickle.UnpicklingError(f'GLOBAL builtins.getattr asks for {name!r}')


def _config_dict(content: Any) -> ConfigDict:
    """Stand in for ``ConfigDict``, which metainfo with dicts in it is made of.

    The class asks what it is given for its items; a plain dict's do nothing. Its values
    that are to be imported later (``LazyObject``) are not on the list.
    """
    if type(content) is not dict:
        raise pickle.UnpicklingError(
            f'GLOBAL mmengine.config.config.ConfigDict is given a {type(content)}'
        )
    return ConfigDict(content)


def _full_name(kind: type) -> str:
    return f'{kind.__module__}.{kind.__qualname__}'


def mmengine_globals() -> list[Any]:
    """List what MMEngine's own checkpoints contain beyond torch's defaults.

    Returns:
        list: For ``torch.serialization.add_safe_globals``: all of it only builds
        numbers, text, dates, arrays of them, configs, and the log's history.
    """
    reconstruct, scalar = (
        np.ndarray((0,)).__reduce__()[0],
        np.float64(0).__reduce__()[0],
    )
    # NumPy 2 renamed the module; files written by either are read by either.
    named = [
        (function, f'numpy.{core}.multiarray.{name}')
        for core in ('core', '_core')
        for name, function in (('_reconstruct', reconstruct), ('scalar', scalar))
    ]
    kinds = sorted({type(np.dtype(c)) for c in _DATA_CODES}, key=str)
    return [
        HistoryBuffer,
        (_known_attribute, 'builtins.getattr'),
        (_ONE_CYCLE, _full_name(OneCycleParamScheduler)),
        (_config_dict, _full_name(ConfigDict)),
        np.ndarray,
        np.dtype,
        *named,
        *kinds,
        *_VALUES,
    ]
