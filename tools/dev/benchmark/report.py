"""What the benchmark found: tables, gates and notes, as Markdown and for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

import numpy as np

from dropblock_mm.tables_md import markdown_table


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of some samples."""

    median: float
    low: float
    high: float
    samples: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Take them from the samples, of which there is at least one."""
        low, median, high = np.percentile(values, [25, 50, 75]).tolist()
        return cls(median, low, high, len(values))

    def __format__(self, spec: str) -> str:
        return f'{self.median:{spec}} ({self.low:{spec}} to {self.high:{spec}})'


@dataclass(frozen=True)
class Mean:
    """A mean and its standard error."""

    mean: float
    error: float

    def __format__(self, spec: str) -> str:
        return f'{self.mean:{spec}} ± {self.error:{spec}}'


@dataclass(frozen=True)
class Gate:
    """A number and the limit that it has to keep.

    Args:
        name: What was measured.
        value: The number; NaN keeps no limit.
        limit: The limit itself is still allowed.
        at_least: Whether the value must not be below the limit, or not above.
        aim: Whether it is only aimed at; a missed aim is no failure.
    """

    name: str
    value: float
    limit: float
    at_least: bool = False
    aim: bool = False

    @property
    def passed(self) -> bool:
        """Whether the limit is kept."""
        if self.at_least:
            return self.value >= self.limit
        return self.value <= self.limit

    @property
    def verdict(self) -> str:
        """PASS or FAIL, or what became of an aim."""
        if self.aim:
            return 'aim reached' if self.passed else 'aim missed'
        return 'PASS' if self.passed else 'FAIL'

    def cells(self) -> list[str]:
        """Return the cells of its line in the table of gates."""
        sign = '>=' if self.at_least else '<='
        return [self.verdict, self.name, f'{self.value:.4g}', f'{sign} {self.limit:g}']


@dataclass(frozen=True)
class Column:
    """A column: the key in each row, its heading, and the format of its numbers."""

    key: str
    heading: str
    spec: str = '.3g'

    def show(self, row: dict[str, Any]) -> str:
        """Return a row's cell as text; a key that is not there is left empty."""
        value = row.get(self.key)
        if value is None or isinstance(value, str):
            return value or ''
        if isinstance(value, bool):
            return 'yes' if value else 'no'
        return format(value, self.spec)


@dataclass
class Table:
    """Rows of numbers, spreads and words."""

    title: str
    columns: list[Column]
    rows: list[dict[str, Any]] = field(default_factory=list)

    def markdown(self) -> str:
        """Return the table under its title."""
        cells = [[column.show(row) for column in self.columns] for row in self.rows]
        headings = [column.heading for column in self.columns]
        return f'{self.title}:\n\n{markdown_table(headings, cells)}'


@dataclass
class Section:
    """One part of the benchmark.

    Args:
        name: As it is given to ``--only``.
        title: Its heading.
        not_run: Why nothing was measured, where that is so.
    """

    name: str
    title: str
    tables: list[Table] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_run: str | None = None
    seconds: float = 0.0

    def markdown(self) -> str:
        """Return heading, tables, gates and notes."""
        parts = [f'### {self.title}']
        if self.not_run:
            parts.append(f'not run: {self.not_run}')
        parts += [table.markdown() for table in self.tables]
        if self.gates:
            headings = ['gate', 'measured', 'value', 'limit']
            parts.append(markdown_table(headings, [g.cells() for g in self.gates]))
        if self.notes:
            parts.append('\n'.join(f'- {note}' for note in self.notes))
        return '\n\n'.join(parts)


def environment_table(environment: dict[str, str]) -> str:
    """Return the environment as a table."""
    return markdown_table(['environment', ''], [list(i) for i in environment.items()])


def summary(sections: Sequence[Section]) -> str:
    """Say in a list which gates failed, and what was not run."""
    gates = [g for section in sections for g in section.gates if not g.aim]
    failed = [g for g in gates if not g.passed]
    passed = f'{len(gates) - len(failed)} of {len(gates)} gates passed.'
    lines = [f'- FAIL {" | ".join(gate.cells()[1:])}' for gate in failed]
    lines += [f'- {s.name}: not run: {s.not_run}' for s in sections if s.not_run]
    return '\n\n'.join([passed, *filter(None, ['\n'.join(lines)])])


def is_good(sections: Sequence[Section]) -> bool:
    """Whether gates were measured, and none of them failed."""
    gates = [gate for section in sections for gate in section.gates if not gate.aim]
    return bool(gates) and all(gate.passed for gate in gates)


def first_line(error: Exception) -> str:
    """Return an error's type and the first line of its message."""
    return f'{type(error).__name__}: {error}'.splitlines()[0]


def jsonable(value: Any) -> Any:
    """Return what JSON can hold; numbers that are not finite become None."""
    if isinstance(value, Gate):
        verdict = {'passed': value.passed, 'verdict': value.verdict}
        return jsonable({**asdict(value), **verdict})
    if is_dataclass(value) and not isinstance(value, type):
        return {key: jsonable(item) for key, item in vars(value).items()}
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, (str, int, float, type(None))) else str(value)
