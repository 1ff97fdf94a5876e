"""Tries whether what a run saves can be read back, before it trains for days."""

from __future__ import annotations

import io
import os
import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import HistoryBuffer

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.checkpoints.allowed import mmengine_globals
from dropblock_mm.runs.checkpoints.safe_loading import can_read_all

# Known to be readable, and large.
_TENSORS = (torch.Tensor, torch.nn.Parameter, HistoryBuffer)
# The classes that are looked into; all others are written as they are.
_HOLDERS = (dict, OrderedDict, list, tuple)
# What the user can change, by where it ends up in a checkpoint.
_REMEDIES = {
    "['meta']['dataset_meta']": 'Correct the metainfo of train_dataloader.dataset.',
    "['message_hub']": 'Have the hook that puts it into the message hub say '
    'resumed=False, or save plain values.',
}
_REMEDY = (
    'Have what saves it save plain values. If the class is yours and only holds data, '
    'allow it, in a module that custom_imports names: '
    'torch.serialization.add_safe_globals([Class]).'
)


@dataclass(frozen=True)
class Unreadable:
    """A part of a checkpoint that cannot be written, or not be read back.

    Args:
        place: As one would reach it, "['meta']['dataset_meta']".
        kind: Its class.
        reason: What the writer or the reader said.
    """

    place: str
    kind: str
    reason: str

    def __str__(self) -> str:
        remedy = next(
            (r for start, r in _REMEDIES.items() if self.place.startswith(start)),
            _REMEDY,
        )
        return (
            f'checkpoint{self.place} is of {self.kind} ({self.reason}), but --resume '
            'and test read nothing except tensors, arrays, numbers, text, dates, lists '
            f'and dicts. {remedy}'
        )


def unreadable_parts(checkpoint: Any) -> list[Unreadable]:
    """Find what in a checkpoint would be refused when it is read.

    Weights are not written for this: tensors and the log's history are left out.

    Returns:
        list: The innermost parts; none where torch is too old to read any of it, or
        where whoever runs this chose unsafe loading by torch's environment variable.
    """
    unsafe = os.environ.get('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '0').lower()
    if not can_read_all() or unsafe in ('1', 'y', 'yes', 'true'):
        return []
    with _allowing_what_mmengine_saves():
        return list(_unreadable(_light(checkpoint, {}), ''))


@contextmanager
def _allowing_what_mmengine_saves() -> Iterator[None]:
    """As if :func:`.safe_loading.keep_loading_safe` had been called."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals(mmengine_globals())
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _light(part: Any, memo: dict[int, Any]) -> Any:
    """Copy a structure without what is large in it."""
    if type(part) in _TENSORS:
        return None
    if type(part) not in _HOLDERS:
        return part
    if id(part) not in memo:
        memo[id(part)] = None  # for a structure that holds itself
        if isinstance(part, dict):
            light: Any = {k: _light(value, memo) for k, value in part.items()}
        else:
            light = type(part)(_light(value, memo) for value in part)
        memo[id(part)] = light
    return memo[id(part)]


def _unreadable(part: Any, place: str) -> Iterator[Unreadable]:
    reason = _refused(part)
    if reason is None:
        return
    inner = [
        found
        for key, value in _items(part)
        for found in _unreadable(value, place + key)
    ]
    kind = f'{type(part).__module__}.{type(part).__qualname__}'
    yield from inner or [Unreadable(place, kind, reason)]


def _items(part: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(part, Mapping):
        yield from ((f'[{key!r}]', value) for key, value in part.items())
    elif isinstance(part, (list, tuple)):
        yield from ((f'[{index}]', value) for index, value in enumerate(part))


def _refused(part: Any) -> str | None:
    """What the writer or the reader says against a part, if anything."""
    file = io.BytesIO()
    try:
        torch.save(part, file)
    except Exception as error:  # a class's own way of being pickled can fail anyhow
        return f'cannot be pickled: {_first_line(error)}'
    file.seek(0)
    try:
        torch.load(file, map_location='meta', weights_only=True)
    except Exception as error:  # as when a file is read
        return _first_line(error)
    return None


def _first_line(error: Exception) -> str:
    text = str(error)
    if isinstance(error, pickle.UnpicklingError):
        text = text.rpartition('WeightsUnpickler error:')[2]
    lines = text.strip().splitlines()
    said = lines[0].partition('. Please use')[0] if lines else ''
    return f'{type(error).__name__}: {said[:200]}'


def refuse_unreadable(checkpoint: Any) -> None:
    """Refuse to train where checkpoints could not be resumed from.

    Raises:
        RefusedValueError: Naming the parts of the checkpoint that are to blame.
    """
    found = unreadable_parts(checkpoint)
    if found:
        raise RefusedValueError(
            "this run's checkpoints could not be read back:\n  "
            + '\n  '.join(map(str, found[:5]))
        )
