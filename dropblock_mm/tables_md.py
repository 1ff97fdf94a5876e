"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose columns are padded, to be read in a terminal too."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    lines = [list(headings), ['-' * width for width in widths], *map(list, rows)]
    return '\n'.join(
        f'| {" | ".join(map(str.ljust, line, widths))} |' for line in lines
    )
