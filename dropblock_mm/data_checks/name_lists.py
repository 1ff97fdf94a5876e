"""Reads lists of names, one on a line."""

from __future__ import annotations

from collections.abc import Iterator

from dropblock_mm.data_checks.problems import Problem, error

EMPTY_LINE = error(
    'empty lines in a list of names',
    'They are read as names of files. Take them out, the last one too.',
)


def read_names(path: str) -> list[str]:
    """Read the names; spaces around them and empty lines do not count."""
    return [line.strip() for line in read_lines(path) if line.strip()]


def read_lines(path: str) -> list[str]:
    """Read all lines as mmengine does, which takes an empty one for a name."""
    with open(path, encoding='utf-8') as file:
        return [line.rstrip('\n\r') for line in file]


def empty_lines(path: str) -> Iterator[Problem]:
    """Find empty lines between names, or behind the last one."""
    lines = read_lines(path)
    if any(line.strip() for line in lines):
        for number, line in enumerate(lines, 1):
            if not line.strip():
                yield EMPTY_LINE, f'{path}, line {number}'
