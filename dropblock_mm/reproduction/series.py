"""Carries out a plan, and keeps what came of it up to date."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dropblock_mm.data_checks.quick import check_data
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.reproduction import record
from dropblock_mm.reproduction.at_once import carry_all
from dropblock_mm.reproduction.carrying import Carrier
from dropblock_mm.reproduction.commands import Launcher, next_command, shown
from dropblock_mm.reproduction.data import make_embedded_data
from dropblock_mm.reproduction.plan import Plan, Run, write_config
from dropblock_mm.reproduction.processes import locked
from dropblock_mm.reproduction.report import Report, Result
from dropblock_mm.reproduction.state import Progress, State, inspect_run
from dropblock_mm.reproduction.tables import Table
from dropblock_mm.reproduction.warm import Forks
from dropblock_mm.reproduction.watching import Watch
from dropblock_mm.runs import library_of, prepare_library


@dataclass
class Series:
    """The runs of a table, of a comparison or of a sweep.

    Args:
        table: The table.
        plan: The runs, those of earlier commands included.
        work_dir: Folder of all.
        launcher: How processes are started.
        command: As it was typed.
        say: Told what is going on, in lines.
        report: Writes what came out.
        data: Which data, where they are not the config's.
        smoke: Whether the numbers mean nothing.
        embedded: Where the embedded data set is to be made, if it serves.
        at_once: How many runs may be at work at once, on this machine.
        warm: Whether commands are forked where a launcher starts one process alone.
        check: Refuses a row's config, before anything starts.
        look_at: Called now and then with each run that is at work; may refuse it.
        gap_images: On how many training images a model is evaluated too.
    """

    table: Table
    plan: Plan
    work_dir: Path
    launcher: Launcher
    command: str
    say: Callable[[str], None]
    report: Report
    data: str = ''
    smoke: bool = False
    embedded: str | None = None
    at_once: int = 1
    warm: bool = True
    check: Callable[[Config], object] = lambda cfg: None
    look_at: Callable[[Run], None] = lambda run: None
    gap_images: int = 0
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
            watch = Watch(self.say, len(self.plan.asked), self.at_once)

            def look(active: list[Carrier]) -> None:
                watch.look(active)
                for carrier in active:
                    self.look_at(carrier.run)

            try:
                ended = carry_all(self.carriers(lock), self.at_once, look)
                with contextlib.closing(ended):
                    for carrier, problem in ended:
                        watch.end(carrier, bool(problem))
                        if problem:
                            failed.append(f'{carrier.run}: {problem}')
                            self.say(f'{carrier.label}: {problem}')
                        self.write_report()
            finally:
                self.write_report()
        self.conclude(failed)
        return failed

    def run_one(self, name: str) -> list[str]:
        """Run one of the runs, while others are at work in the same folder.

        What they share is prepared, and the table is written, by who starts them.

        Args:
            name: Of its folder.

        Returns:
            list[str]: What failed, in words.
        """
        run = next((run for run in self.plan.asked if run.name == name), None)
        if run is None:
            raise RefusedValueError(f'--only {name!r}: there is no such run')
        with locked(run.work_dir) as lock:
            self.warm = False
            own = [c for c in self.carriers(lock) if c.run is run]
            ended = carry_all(own, 1)
            with contextlib.closing(ended):
                return [f'{c.run}: {problem}' for c, problem in ended if problem]

    def carriers(self, lock: int) -> list[Carrier]:
        """Return what carries out each run."""
        alone = self.launcher.name == 'none' and self.warm
        scope = library_of(self.plan.asked[0].cfg) if alone else None
        forks = Forks(scope) if alone else None
        number = len(self.plan.asked)
        return [
            Carrier(
                run,
                f'[{place}/{number}] {run}',
                self.table,
                self.launcher,
                forks,
                self.inspect,
                self.say,
                lock,
                self.gap_images,
            )
            for place, run in enumerate(self.plan.asked, 1)
        ]

    def prepare(self) -> None:
        """Make, or check, what all runs need, before the first starts."""
        if self.embedded:
            make_embedded_data(self.table.embedded or '', self.embedded)
        first = self.plan.asked[0]
        prepare_library(first.cfg)
        check_data(first.cfg, ('train', 'val', 'test'))
        for run in {run.row.name: run for run in self.plan.asked}.values():
            self.check(run.cfg)
        for run in self.plan.known:
            self.inspect(run)
        for run in self.plan.asked:
            write_config(run)

    def inspect(self, run: Run) -> Progress:
        """Look how far a run has come, and remember it."""
        self.progress[run.config] = inspect_run(run, self.table.metrics)
        return self.progress[run.config]

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

    def results(self) -> list[Result]:
        """Return the state of all runs."""
        return [
            Result(
                run,
                self.progress.get(run.config, Progress(State.NEW)),
                record.read_attempts(run.work_dir),
            )
            for run in self.plan.known
        ]

    def write_report(self) -> None:
        """Write the table as it is by now."""
        self.report.write(self.results(), self.facts())

    def conclude(self, failed: list[str]) -> None:
        """Tell the table, and what failed."""
        self.say(f'\n{self.report.conclusion(self.results())}\n')
        self.say(f'wrote {self.report.files}')
        if failed:
            number = f'{len(failed)} of {len(self.plan.asked)} runs'
            self.say('\n  '.join([f'{number} failed:', *failed]))
