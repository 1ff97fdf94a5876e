"""A bar with the time that is left, where a command takes long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Advance(Protocol):
    """Says that a step is done."""

    def __call__(self, told: str = '', steps: int = 1) -> None:
        """Advance, and show what is going on; '' leaves there what was told."""


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Show a bar on stderr, with the estimated time to the end.

    Args:
        title: What is done.
        total: Number of steps; nothing is shown of none.
        done: Steps that were done before.
    """
    if not total:
        yield lambda told='', steps=1: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn('left:'),
        TimeRemainingColumn(),
        TextColumn('{task.fields[told]}', markup=False),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task(title, total=total, completed=done, told='')

        def advance(told: str = '', steps: int = 1) -> None:
            bar.advance(task, steps)
            if told:
                bar.update(task, told=told)

        yield advance
