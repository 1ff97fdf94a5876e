"""Puts errors of data sets into the terms of the config that names them."""

from __future__ import annotations

import json
import os
import reprlib
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config

from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.data_checks.inventory import inventory
from dropblock_mm.data_checks.layouts.base import annotation_file_flaws
from dropblock_mm.data_checks.quick import refusal
from dropblock_mm.errors import RefusedError, RefusedValueError
from dropblock_mm.runs.type_names import bare_name


@contextmanager
def naming_bad_data(cfg: Config, loops: Sequence[str]) -> Iterator[None]:
    """Put the errors of data sets that are being built in the user's terms.

    Args:
        cfg (Config): The whole config.
        loops: Which of 'train', 'val' and 'test' are going to run.

    Raises:
        ValueError: Instead of a JSON error, where a file of the config is to blame,
            of NumPy's error about a data set without images, and of whatever a data
            set raises while it reads its annotations.
    """
    try:
        yield
    except (RefusedError, ImportError, MemoryError):
        raise
    except Exception as error:
        problems = []
        if isinstance(error, json.JSONDecodeError):
            problems = list(_broken_json(cfg.to_dict(), loops))
        if problems:
            raise refusal(problems) from error
        entries = inventory(cfg.to_dict(), loops).data_sets
        if _is_of_empty_dataset(error):
            keys = ', '.join(entry.key for entry in entries)
            raise RefusedValueError(
                f'no image is left of a data set (of {keys}). Their filter_cfg leaves '
                'out images without boxes, and small ones; see whether '
                'metainfo.classes are those of the annotations.'
            ) from error
        told = _unread(error, entries)
        if not told:
            raise
        raise RefusedValueError(told) from error


def _unread(error: Exception, entries: Iterable[DataSetEntry]) -> str:
    """Name what a data set was reading when it raised an error; '' if it was not."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = [frame.f_code.co_name for frame in frames]
    if _READS not in names:
        return ''
    own = frames[names.index(_READS)].f_locals.get('self')
    kind, file = type(own).__name__, getattr(own, 'ann_file', '')
    of_kind = [entry for entry in entries if bare_name(entry.type) == kind]
    keys = [e.key for e in of_kind if not e.annotations or e.annotations.path == file]
    last = traceback.extract_tb(error.__traceback__)[-1]
    said = str(error) or last.line
    at = ''
    if _PARSES in names:
        inside = frames[names.index(_PARSES)]
        given = inside.f_locals.get((*inside.f_code.co_varnames, '')[1])
        at = f', at {reprlib.repr(given)}'
    return (
        f'{", ".join(keys) or kind}: {kind} cannot read its annotations, '
        f'{file!r}{at}: {type(error).__name__}: {said} ({last.filename!r}, line '
        f'{last.lineno}). Correct or complete the files, or copy them again.'
    )


# What mmengine's data sets override to read their files, and to take an entry of them.
_READS, _PARSES = 'load_data_list', 'parse_data_info'


def _is_of_empty_dataset(error: Exception) -> bool:
    """Whether mmengine's data set raised it when it had nothing to keep."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_name != '_serialize_data':
        trace = trace.tb_next
    return trace is not None and 'need at least one array' in str(error)


def _broken_json(config: Mapping[str, Any], loops: Sequence[str]) -> Iterator[str]:
    found = inventory(config, loops)
    named = [entry.annotations for entry in found.data_sets]
    for path in [*named, *(metric.annotations for metric in found.metrics)]:
        if path and path.path.endswith('.json') and os.path.isfile(path.path):
            yield from annotation_file_flaws(path, os.path.getsize(path.path))
