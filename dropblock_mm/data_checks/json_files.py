"""Reads JSON files of data, and tells what is wrong with broken ones."""

from __future__ import annotations

import functools
import gc
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dropblock_mm.data_checks.annotations.masks import judge_masks

# Parsing is certain, but the data set parses again: 448 MB of COCO would cost
# seconds twice. Of larger files only the two ends are read.
PARSED_BYTES = 32 * 2**20
_END_BYTES = 4096


def json_flaw(path: str, parsed_bytes: int = PARSED_BYTES, masks: bool = False) -> str:
    """Tell what is wrong with a JSON file.

    Args:
        path (str): The file.
        parsed_bytes (int): Up to this size it is parsed, above only its ends are
            looked at.
        masks (bool): As of :func:`read_json`.

    Returns:
        str: The flaw, or '' if none was found.
    """
    if os.path.getsize(path) <= parsed_bytes:
        try:
            read_json(path, masks)
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


def read_json(path: str, masks: bool = False) -> Any:
    """Parse a file; one that was asked for last and has not changed costs nothing.

    Args:
        path (str): The file.
        masks (bool): Whether anything reads the segmentations of a COCO file, which
            are most of it. They are judged as they are met then, and what stands in
            their place is a :class:`.annotations.masks.Mask`. Otherwise polygons are
            passed over.
    """
    status = os.stat(path)
    return _parse(path, masks, status.st_mtime_ns, status.st_size)


def forget_json() -> None:
    """Give the memory of the last file back."""
    _parse.cache_clear()


# The checks of a data set, and of the evaluator beside it, ask for the same file.
@functools.lru_cache(maxsize=1)
def _parse(path: str, masks: bool, modified: int, size: int) -> Any:
    content = Path(path).read_bytes()
    with _without_collector():
        if not masks:
            try:
                return json.loads(_POLYGONS.sub(b'"segmentation": 0', content).decode())
            except ValueError:  # whose place in the file is another one
                pass
        return json.loads(content.decode(), object_hook=judge_masks)


# Polygons, as JSON has them: nothing else can stand there, within text neither, where
# quotation marks are escaped.
_NUMBER = rb'-?+(?:0|[1-9]\d*+)(?:\.\d++)?+(?:[eE][-+]?+\d++)?+'
_LIST = rb'\[' + _NUMBER + rb'(?:, ?' + _NUMBER + rb')*+\]'
_POLYGONS = re.compile(rb'"segmentation": ?\[' + _LIST + rb'(?:, ?' + _LIST + rb')*+\]')


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
