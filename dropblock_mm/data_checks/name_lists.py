"""Reads lists of names, one on a line."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dropblock_mm.data_checks.problems import Problem, error

EMPTY_LINE = error(
    'empty lines in a list of names',
    'They are read as names of files. Take them out, the last one too.',
)
BLANKS = error(
    'names with blanks around them in a list',
    'They are read as parts of the name. Take them out.',
)
BYTE_ORDER_MARK = error(
    'list of names that begins with a byte order mark',
    'It is read as a part of the first name. Save the list as UTF-8 without BOM.',
)
_MARK = '\ufeff'


def read_names(path: str) -> list[str]:
    """Read the names; spaces around them and empty lines do not count."""
    return [line.strip() for line in read_lines(path) if line.strip()]


def read_lines(path: str) -> list[str]:
    """Read all lines as mmengine does, which takes an empty one for a name."""
    with open(path, encoding='utf-8') as file:
        return [line.rstrip('\n\r') for line in file]


def empty_lines(path: str) -> Iterator[Problem]:
    """Find empty lines, for data sets that take blanks off the others."""
    return line_problems(path, blanks=False)


def line_problems(path: str, blanks: bool) -> Iterator[Problem]:
    """Find what is read as a name, or as a part of one, and cannot be meant.

    Args:
        path (str): The list.
        blanks (bool): Whether the data set takes blanks around a name for a part of
            it: mmseg's does not.
    """
    lines = read_lines(path)
    if lines and lines[0].startswith(_MARK):
        yield BYTE_ORDER_MARK, path
    if any(line.strip() for line in lines):
        for number, line in enumerate(lines, 1):
            if not line.strip():
                yield EMPTY_LINE, f'{path}, line {number}'
            elif blanks and line != line.strip():
                yield BLANKS, f'{path}, line {number}: {line!r}'


def list_flaw(path: str) -> str:
    """Tell why a list of names cannot be read; '' if it can."""
    if not os.path.isfile(path):
        return ''
    try:
        read_lines(path)
    except UnicodeDecodeError as flaw:
        return f'no text in UTF-8 ({flaw.reason} at byte {flaw.start})'
    return ''
