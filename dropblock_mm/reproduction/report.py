"""The table: the paper's numbers beside the measured ones."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from dropblock_mm.reproduction.plan import Run
from dropblock_mm.reproduction.shrink import SMOKE
from dropblock_mm.reproduction.state import Progress, State
from dropblock_mm.reproduction.tables import Row, Table
from dropblock_mm.runs.checkpoints.whole_files import write_json, write_whole
from dropblock_mm.tables_md import markdown_table

SCHEMA = 1
_SHORT = re.compile(
    r'Python|CUDA available|GPU.*|PyTorch|MMEngine|'
    r'(onedl-)?mm(cv|det.*|seg.*|pretrain)|dropblock_mm'
)


@dataclass(frozen=True)
class Result:
    """What came of a run.

    Args:
        run: The run.
        progress: Its state and numbers.
        attempts: See ``record.attempt``.
    """

    run: Run
    progress: Progress
    attempts: list[dict[str, Any]]

    @property
    def duration(self) -> str:
        """From the first command's start to the last one's end, in UTC."""
        if not self.attempts:
            return ''
        first, last = self.attempts[0]['started'], self.attempts[-1].get('ended', '')
        return f'{first} to {last}'.replace('+00:00', '')

    @property
    def failure(self) -> str:
        """How the last command failed, such as 'status 1'; '' if it did not.

        A training that ended without a finite loss failed too.
        """
        if self.progress.problem:
            return self.progress.problem
        if self.progress.state is State.FINISHED or not self.attempts:
            return ''
        status = self.attempts[-1].get('status')
        return f'status {status}' if status else ''

    @property
    def counts(self) -> bool:
        """Whether its numbers do: it is finished, and not by diverging."""
        return self.progress.state is State.FINISHED and not self.progress.problem

    @property
    def state(self) -> str:
        """How far it has come, in words, and whether it failed there."""
        told = self.progress.state.value
        if not self.failure:
            return told
        if self.progress.problem:
            return f'{told}, {self.failure}'
        failed = f'failed with {self.failure}'
        return failed if self.progress.state is State.NEW else f'{told}, {failed}'


class Report(Protocol):
    """Writes what came of runs.

    Attributes:
        files: Where, in words.
    """

    @property
    def files(self) -> str:
        """Where, in words."""

    def write(self, results: Sequence[Result], facts: dict[str, Any]) -> None:
        """Write files that are to be had while other runs are at work."""

    def conclusion(self, results: Sequence[Result]) -> str:
        """Return what is to be told at the end."""


@dataclass(frozen=True)
class TableReport:
    """A table as Markdown and JSON.

    Args:
        table: The table.
        work_dir: Folder of the files.
    """

    table: Table
    work_dir: Path

    @property
    def files(self) -> str:
        """See :class:`Report`."""
        return f'{self.work_dir / self.table.name}.md and .json'

    def write(self, results: Sequence[Result], facts: dict[str, Any]) -> None:
        """See :class:`Report`."""
        text = as_markdown(self.table, results, facts)
        write_whole(text.encode(), self.work_dir / f'{self.table.name}.md')
        content = as_json(self.table, results, facts)
        write_json(self.work_dir / f'{self.table.name}.json', content)

    def conclusion(self, results: Sequence[Result]) -> str:
        """See :class:`Report`."""
        return main_table(self.table, results)


@dataclass(frozen=True)
class Summary:
    """A number over several seeds.

    Args:
        values: At least one.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """The sample standard deviation; None for one value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def told(self, digits: int) -> str:
        """In words, with so many digits behind the point."""
        spread = '' if self.spread is None else f' ± {self.spread:.{digits}f}'
        return f'{self.mean:.{digits}f}{spread}'

    def __str__(self) -> str:
        return self.told(1)


def state_in_json(result: Result) -> str:
    """Return how far a run has come, and whether it diverged."""
    return result.state if result.progress.problem else result.progress.state.value


def summarize(row: Row, title: str, results: Sequence[Result]) -> Summary | None:
    """Gather a metric of a row's finished runs; None without any."""
    values = [
        result.progress.metrics[title]
        for result in results
        if result.run.row == row and result.counts
    ]
    return Summary(tuple(values)) if values else None


def as_json(
    table: Table, results: Sequence[Result], facts: dict[str, Any]
) -> dict[str, Any]:
    """Return all that is known as what JSON can hold."""
    return {
        'schema': SCHEMA,
        'table': table.name,
        'paper': table.source or None,
        **facts,
        'rows': [_row_json(table, row, results) for row in _rows(results)],
        'runs': [_run_json(result) for result in results],
    }


def _row_json(table: Table, row: Row, results: Sequence[Result]) -> dict[str, Any]:
    measured = {}
    for metric in table.metrics:
        found = summarize(row, metric.title, results)
        if found:
            numbers = {'mean': found.mean, 'standard_deviation': found.spread}
            measured[metric.title] = {**numbers, 'values': list(found.values)}
    return {**asdict(row), 'measured': measured}


def _run_json(result: Result) -> dict[str, Any]:
    return {
        'row': result.run.row.name,
        'seed': result.run.seed,
        'state': state_in_json(result),
        'metrics': result.progress.metrics,
        'effective_keep_rate': result.progress.keep_rate,
        'config': str(result.run.config),
        'work_dir': str(result.run.work_dir),
        'attempts': result.attempts,
    }


def _rows(results: Sequence[Result]) -> list[Row]:
    return list({result.run.row.name: result.run.row for result in results}.values())


def as_markdown(table: Table, results: Sequence[Result], facts: dict[str, Any]) -> str:
    """Return the table, what it was made with, and every run."""
    parts = [f'## {table.title}']
    if facts['smoke']:
        parts.append(f'**A smoke run.** {SMOKE}')
    parts.append(main_table(table, results))
    parts.append(_explanation(table, results, facts['data']))
    parts.append(f'```shell\n{facts["command"]}\n```')
    parts.append(_runs_table(table, results))
    parts.append(environment_table(facts['environment']))
    return '\n\n'.join(parts) + '\n'


def main_table(table: Table, results: Sequence[Result]) -> str:
    """Return a line for each row: the paper's numbers and the measured ones."""
    headings = ['row', 'model']
    for metric in table.metrics:
        headings += [f'{metric.title}, paper'] if table.source else []
        headings += [f'{metric.title}, measured']
    lines = [_main_line(table, row, results) for row in _rows(results)]
    return markdown_table([*headings, 'seeds'], lines)


def _main_line(table: Table, row: Row, results: Sequence[Result]) -> list[str]:
    cells = [row.name, row.title]
    for metric in table.metrics:
        paper = row.paper.get(metric.title)
        if table.source:
            cells.append('' if paper is None else f'{paper:.{table.digits}f}')
        found = summarize(row, metric.title, results)
        cells.append(found.told(table.digits) if found else '')
    seeds = [str(r.run.seed) for r in results if r.run.row == row and r.counts]
    return [*cells, ', '.join(seeds) or 'none finished']


def _explanation(table: Table, results: Sequence[Result], data: str | None) -> str:
    titles = ', '.join(metric.title for metric in table.metrics)
    text = f'{titles} in percent. '
    if table.source:
        text += f'Paper: {table.source}. '
    if data:
        text += f'Measured on: {data}. '
    finished = Counter(result.run.row.name for result in results if result.counts)
    if any(number > 1 for number in finished.values()):
        text += 'Measured: mean ± sample standard deviation over the seeds. '
    unfinished = [r for r in results if r.progress.state is not State.FINISHED]
    if unfinished:
        told = (f'{result.run} ({result.state})' for result in unfinished)
        text += f'Not finished: {"; ".join(told)}. '
    diverged = [f'{r.run} ({r.state})' for r in results if r.progress.problem]
    if diverged:
        text += f'Left out: {"; ".join(diverged)}.'
    return text.strip()


def _runs_table(table: Table, results: Sequence[Result]) -> str:
    titles = [metric.title for metric in table.metrics]
    headings = ['run', 'state', *titles, 'kept', 'time, UTC', 'commit']
    note = 'Kept: share of the units that DropBlock let through in the last epoch.'
    lines = [_run_line(titles, result) for result in results]
    return f'{markdown_table(headings, lines)}\n\n{note}'


def _run_line(titles: Sequence[str], result: Result) -> list[str]:
    progress = result.progress
    kept = '' if progress.keep_rate is None else f'{progress.keep_rate:.3f}'
    if progress.state is State.FINISHED:
        numbers = [f'{progress.metrics[title]:.2f}' for title in titles]
        kept = kept or 'all'
    else:
        numbers = [''] * len(titles)
    commits = '; '.join(dict.fromkeys(note['commit'] for note in result.attempts))
    return [str(result.run), result.state, *numbers, kept, result.duration, commits]


def environment_table(environment: dict[str, str]) -> str:
    """Return the versions, and the GPUs, of the machine."""
    short = {k: v for k, v in environment.items() if _SHORT.fullmatch(k)}
    lines = [[name, value.splitlines()[0]] for name, value in short.items()]
    return markdown_table(['environment', ''], lines)
