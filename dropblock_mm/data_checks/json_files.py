"""Reads JSON files of data, and tells what is wrong with broken ones."""

from __future__ import annotations

import functools
import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dropblock_mm.data_checks.annotations.masks import judge_masks

# Parsing is certain, but the data set parses again: 448 MB of COCO would cost
# seconds twice. Of larger files only the two ends are read.
PARSED_BYTES = 32 * 2**20
_END_BYTES = 4096


def json_flaw(path: str, parsed_bytes: int = PARSED_BYTES) -> str:
    """Tell what is wrong with a JSON file.

    Args:
        path (str): The file.
        parsed_bytes (int): Up to this size it is parsed, above only its ends are
            looked at.

    Returns:
        str: The flaw, or '' if none was found.
    """
    if os.path.getsize(path) <= parsed_bytes:
        try:
            read_json(path)
        except RecursionError:
            return 'lists within lists are too deep'
        except ValueError as error:  # bad JSON, or bytes that are no text
            return str(error)
        return ''
    with open(path, 'rb') as file:
        head = file.read(_END_BYTES).lstrip()
        file.seek(max(os.path.getsize(path) - _END_BYTES, 0))
        tail = file.read().rstrip()
    if (head[:1], tail[-1:]) in ((b'{', b'}'), (b'[', b']')):
        return ''
    return f'it begins with {head[:1]!r} and ends with {tail[-1:]!r}'


def read_json(path: str) -> Any:
    """Parse a file; one that was asked for last and has not changed costs nothing.

    Most of a COCO file is segmentations. They are judged as they are met, and what
    stands in their place is a :class:`.annotations.masks.Mask`.
    """
    status = os.stat(path)
    return _parse(path, status.st_mtime_ns, status.st_size)


def forget_json() -> None:
    """Give the memory of the last file back."""
    _parse.cache_clear()


# The checks of a data set, and of the evaluator beside it, ask for the same file.
@functools.lru_cache(maxsize=1)
def _parse(path: str, modified: int, size: int) -> Any:
    with open(path, encoding='utf-8') as file, _without_collector():
        return json.load(file, object_hook=judge_masks)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Do without garbage collection, which looks through millions of lists in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
