"""A picture with what it says in words and numbers, as files that a report reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dropblock_mm.errors import RefusedFileError, RefusedValueError
from dropblock_mm.runs.checkpoints.whole_files import write_json
from dropblock_mm.runs.folders import check_out

SCHEMA = 1
PICTURES = ('.png', '.svg')


@dataclass(frozen=True)
class NumberTable:
    """Numbers of a picture, or a list of runs.

    Args:
        caption: What it shows.
        headings: Of the columns.
        rows: Of cells, as they are read; as long as the headings.
        sorted_by: Column by which the rows are sorted, for who cannot see it.
        descending: Whether the largest comes first.
    """

    caption: str
    headings: list[str]
    rows: list[list[str]]
    sorted_by: int | None = None
    descending: bool = False

    def __post_init__(self) -> None:
        if any(len(row) != len(self.headings) for row in self.rows):
            raise RefusedValueError(
                f'table {self.caption!r} has {len(self.headings)} headings, and rows '
                f'of {sorted({len(row) for row in self.rows})} cells.'
            )

    def sorted(self, column: int, *, descending: bool = False) -> NumberTable:
        """Return it sorted by a column: by numbers where there are, words last."""
        rows = sorted(self.rows, key=lambda row: _rank(row[column], descending))
        return NumberTable(self.caption, self.headings, rows, column, descending)


def _rank(cell: str, descending: bool) -> tuple[int, float, str]:
    try:
        number = float(cell.split()[0].rstrip('%'))
    except (ValueError, IndexError):
        return 1, 0.0, cell
    return 0, -number if descending else number, cell


@dataclass(frozen=True)
class FigureRecord:
    """What a command says of the picture that it wrote beside it.

    Args:
        figure: Kind of the picture, such as 'masks'.
        title: Its heading.
        picture: Name of its file, in the record's folder.
        alt: The picture in words, with its most important numbers.
        tables: All of its numbers.
        notes: Sentences: how it was made, what was left out.
        command: What makes it again.
        numbers: For programs; of no fixed form.
    """

    figure: str
    title: str
    picture: str
    alt: str
    tables: list[NumberTable] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    command: str = ''
    numbers: dict[str, Any] = field(default_factory=dict)


def record_path(picture: Path) -> Path:
    """Return where the record of a picture is: beside it, as NAME.json."""
    return picture.with_suffix('.json')


def check_picture_name(path: Path, ends: Sequence[str] = PICTURES) -> Path:
    """Refuse a picture that cannot be written, before minutes of work for it.

    Args:
        path: The picture.
        ends: What its name may end in.

    Raises:
        RefusedValueError: Its ending is of no kind of picture.
        RefusedFileError: It is a folder, or its own folder cannot be written.
    """
    if path.suffix.lower() not in ends:
        raise RefusedValueError(
            f'--out {str(path)!r}: give a file that ends in {" or ".join(ends)}.'
        )
    check_out(path)
    return path


def write_record(record: FigureRecord, picture: Path) -> Path:
    """Write a record beside its picture; return its path."""
    path = record_path(picture)
    content = {'schema': SCHEMA, **asdict(record)}
    write_json(path, content)
    return path


def known_numbers(picture: Path) -> dict[str, Any]:
    """Return the numbers beside a picture that was begun earlier; none if it was not.

    Raises:
        RefusedError: What is there is no record of this version.
    """
    path = record_path(picture)
    return read_record(path).numbers if path.is_file() else {}


def is_record(content: Any) -> bool:
    """Tell a record from other JSON."""
    return isinstance(content, dict) and {'schema', 'figure', 'alt'} <= set(content)


def read_record(path: Path) -> FigureRecord:
    """Read a record.

    Raises:
        RefusedError: There is none, or it is not one of this version.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise RefusedFileError(f'{str(path)!r} cannot be read: {error}.') from error
    except ValueError as error:
        raise RefusedValueError(f'{str(path)!r} is cut short: {error}.') from error
    try:
        if not is_record(content) or content.pop('schema') != SCHEMA:
            raise TypeError(f'expected a record of schema {SCHEMA}')
        tables = [NumberTable(**table) for table in content.pop('tables', [])]
        return FigureRecord(**content, tables=tables)
    except (TypeError, RefusedValueError) as error:
        raise RefusedValueError(
            f'{str(path)!r} is no record of a picture: {error}. Write it anew by the '
            'command that made it.'
        ) from error
