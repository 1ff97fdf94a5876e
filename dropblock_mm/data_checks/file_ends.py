"""Finds pictures that were cut short, by their last bytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

_PNG_END = b'IEND\xaeB`\x82'
_ENDS = {'.jpg': b'\xff\xd9', '.jpeg': b'\xff\xd9', '.png': _PNG_END}
# A network file system takes its time for each file, but answers many at once.
_THREADS, _FILES = 16, 256


def cut_short(paths: Sequence[str]) -> list[str]:
    """Find the JPEG and PNG files that lack their end and cannot be decoded.

    Only files that do not end as they should are decoded: some go on behind their
    end, or have the name of another format.

    Args:
        paths: Of files that are there.

    Returns:
        list[str]: Those that are cut short, no pictures, or not to be opened.
    """
    parts = [paths[i : i + _FILES] for i in range(0, len(paths), _FILES)]
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(lambda part: [p for p in part if _is_cut_short(p)], parts)
        return [path for part in found for path in part]


def _is_cut_short(path: str) -> bool:
    end = _ENDS.get(os.path.splitext(path)[1].lower())
    if end is None:
        return False
    try:
        if _last_bytes(path, len(end)) == end:
            return False
        with Image.open(path) as image:
            image.load()
    except Image.DecompressionBombError:  # large, but whole as far as one can tell
        return False
    except (OSError, SyntaxError, ValueError):  # depending on where it breaks off
        return True
    return False


def _last_bytes(path: str, count: int) -> bytes:
    with open(path, 'rb') as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - count, 0))
        return file.read()
