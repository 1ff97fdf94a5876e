"""Carries out a plan, one run after the other, and keeps the table up to date."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropblock_mm.data_checks.quick import check_data
from dropblock_mm.reproduction import record, report
from dropblock_mm.reproduction.commands import Launcher, next_command, shown
from dropblock_mm.reproduction.data import make_embedded_data
from dropblock_mm.reproduction.plan import Plan, Run, write_config
from dropblock_mm.reproduction.processes import locked, run_command, tail
from dropblock_mm.reproduction.state import Progress, State, inspect_run
from dropblock_mm.reproduction.tables import Table
from dropblock_mm.runs import prepare_library

LOG = 'output.log'


@dataclass
class Series:
    """The runs of a table.

    Args:
        table: The table.
        plan: The runs, those of earlier commands included.
        work_dir: Folder of all.
        launcher: How processes are started.
        command: As it was typed.
        say: Told what is going on, in lines.
        data: Which data, where they are not the config's.
        smoke: Whether the numbers mean nothing.
        embedded: Where the embedded data set is to be made, if it serves.
    """

    table: Table
    plan: Plan
    work_dir: Path
    launcher: Launcher
    command: str
    say: Callable[[str], None]
    data: str = ''
    smoke: bool = False
    embedded: str | None = None
    progress: dict[Path, Progress] = field(default_factory=dict)

    def show(self) -> None:
        """Tell each run's state and its next command."""
        for run in self.plan.asked:
            progress = self.inspect(run)
            self.say(f'{run}: {progress.state.value}')
            if progress.state is not State.FINISHED:
                command = next_command(run, progress, self.launcher)
                self.say(f'    {shown(command)}')

    def run(self) -> list[str]:
        """Run what is not finished.

        Returns:
            list[str]: What failed, in words.
        """
        with locked(self.work_dir) as lock:
            self.prepare()
            failed = []
            try:
                for number, run in enumerate(self.plan.asked, 1):
                    label = f'[{number}/{len(self.plan.asked)}] {run}'
                    problem = self.carry_out(run, label, lock)
                    if problem:
                        failed.append(f'{run}: {problem}')
                        self.say(f'{label}: {problem}')
                    self.write_report()
            finally:
                self.write_report()
        self.conclude(failed)
        return failed

    def prepare(self) -> None:
        """Make, or check, what all runs need, before the first starts."""
        if self.embedded:
            make_embedded_data(self.table.embedded or '', self.embedded)
        first = self.plan.asked[0].cfg
        prepare_library(first)
        check_data(first, ('train', 'val', 'test'))
        for run in self.plan.known:
            self.inspect(run)
        for run in self.plan.asked:
            write_config(run)

    def inspect(self, run: Run) -> Progress:
        """Look how far a run has come, and remember it."""
        self.progress[run.config] = inspect_run(run, self.table.metrics)
        return self.progress[run.config]

    def carry_out(self, run: Run, label: str, lock: int) -> str:
        """Train and evaluate one run, as far as that is left to do.

        Returns:
            str: What went wrong, or ''.
        """
        progress = self.inspect(run)
        if progress.state is State.FINISHED:
            self.say(f'{label}: finished before: {in_words(progress)}')
            return ''
        while progress.state is not State.FINISHED:
            before, log = progress, run.work_dir / LOG
            start = log.stat().st_size if log.exists() else 0
            status = self.execute(run, progress, label, lock)
            progress = self.progress[run.config]
            if status or progress.state is before.state:
                self.say(tail(log, start))
                return self.explain(status, progress, log)
        self.say(f'{label}: {in_words(progress)}')
        return ''

    def execute(self, run: Run, progress: Progress, label: str, lock: int) -> int:
        """Run a run's next command."""
        command = next_command(run, progress, self.launcher)
        run.work_dir.mkdir(parents=True, exist_ok=True)
        log = run.work_dir / LOG
        what = {
            State.NEW: 'trains',
            State.INTERRUPTED: f'goes on from {progress.checkpoint}',
            State.TRAINED: f'evaluates {progress.checkpoint}',
        }[progress.state]
        self.say(f'{label}: {what}; output in {log}')
        with record.attempt(run.work_dir, shown(command)) as note:
            environment = self.launcher.environment()
            try:
                note['status'] = run_command(command, log, environment, lock)
            finally:
                self.inspect(run)  # interrupted or not
        return note['status']

    def explain(self, status: int, progress: Progress, log: Path) -> str:
        """Say why a run did not come further."""
        if status:
            how = f'signal {-status}' if status < 0 else f'status {status}'
            return f'failed with {how}; see {log}'
        if progress.state is State.TRAINED:
            keys = ', '.join(repr(metric.key) for metric in self.table.metrics)
            return f'failed: the evaluation gave no {keys}; see {log}'
        return (
            f'failed: the training ended, but {progress.checkpoint} is not the whole '
            'checkpoint of its end. Remove that file to train the rest again.'
        )

    def facts(self) -> dict[str, Any]:
        """Return what holds for all runs."""
        return {
            'smoke': self.smoke,
            'data': self.data or None,
            'command': self.command,
            'commit': record.commit(),
            'launcher': vars(self.launcher),
            'written': record.now(),
            'environment': record.environment(),
        }

    def results(self) -> list[report.Result]:
        """Return the state of all runs."""
        return [
            report.Result(
                run,
                self.progress.get(run.config, Progress(State.NEW)),
                record.read_attempts(run.work_dir),
            )
            for run in self.plan.known
        ]

    def write_report(self) -> None:
        """Write the table as it is by now."""
        results, facts = self.results(), self.facts()
        text = report.as_markdown(self.table, results, facts)
        content = report.as_json(self.table, results, facts)
        (self.work_dir / f'{self.table.name}.md').write_text(text, encoding='utf-8')
        record.write_json(self.work_dir / f'{self.table.name}.json', content)

    def conclude(self, failed: list[str]) -> None:
        """Tell the table, and what failed."""
        self.say(f'\n{report.main_table(self.table, self.results())}\n')
        self.say(f'wrote {self.work_dir / self.table.name}.md and .json')
        if failed:
            number = f'{len(failed)} of {len(self.plan.asked)} runs'
            self.say('\n  '.join([f'{number} failed:', *failed]))


def in_words(progress: Progress) -> str:
    """Return a finished run's numbers."""
    return ', '.join(f'{title} {n:.2f}' for title, n in progress.metrics.items())
