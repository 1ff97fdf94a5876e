"""Carries a run to its end: trains, goes on, evaluates, whatever is left to do."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from dropblock_mm.reproduction import record
from dropblock_mm.reproduction.commands import Launcher, next_command, shown
from dropblock_mm.reproduction.on_training import write_annotations
from dropblock_mm.reproduction.plan import Run
from dropblock_mm.reproduction.processes import Running, start_command, tail
from dropblock_mm.reproduction.state import Progress, State
from dropblock_mm.reproduction.tables import Table
from dropblock_mm.reproduction.warm import Forks

LOG = 'output.log'
# What is at work, and the exit status once it has ended; at last what went wrong.
Steps = Generator[Running, int, str]


@dataclass
class Carrier:
    """Carries out one run.

    Args:
        run: The run.
        label: Stands before what is said of it.
        table: What it belongs to.
        launcher: How processes are started.
        forks: Starts them faster where the launcher starts one alone, or None.
        inspect: Tells how far a run has come.
        say: Told what is going on, in lines.
        lock: File that commands keep locked.
        gap_images: On how many training images the run is evaluated too.
        gpu: The number of its GPU where several runs are at work, or None.
    """

    run: Run
    label: str
    table: Table
    launcher: Launcher
    forks: Forks | None
    inspect: Callable[[Run], Progress]
    say: Callable[[str], None]
    lock: int
    gap_images: int = 0
    gpu: str | None = None
    log_start: int = 0
    evaluates: bool = False  # else it trains

    @property
    def log(self) -> Path:
        """Where the commands' output goes."""
        return self.run.work_dir / LOG

    def steps(self) -> Steps:
        """Do what is left to do, a command at a time.

        Yields:
            Running: The command at work. Its exit status is to be sent.

        Returns:
            str: What went wrong, or ''.
        """
        progress = self.inspect(self.run)
        if progress.state is State.FINISHED:
            self.say(f'{self.label}: finished before: {in_words(progress)}')
            return self.worth_nothing(progress)
        while progress.state is not State.FINISHED:
            before = progress
            self.log_start = self.log.stat().st_size if self.log.exists() else 0
            status = yield from self.execute(progress)
            progress = self.inspect(self.run)
            if status or progress.state is before.state:
                self.say(tail(self.log, self.log_start))
                return self.explain(status, progress)
        self.say(f'{self.label}: {in_words(progress)}')
        return self.worth_nothing(progress)

    def worth_nothing(self, progress: Progress) -> str:
        """Say why a finished run's numbers do not count, or ''."""
        if not progress.problem:
            return ''
        return f'failed: {progress.problem}; see {self.log}'

    def execute(self, progress: Progress) -> Generator[Running, int, int]:
        """Run the next command."""
        command = next_command(self.run, progress, self.launcher)
        self.evaluates = progress.state in (State.TRAINED, State.EVALUATED)
        self.run.work_dir.mkdir(parents=True, exist_ok=True)
        what = {
            State.NEW: 'trains',
            State.INTERRUPTED: f'goes on from {progress.checkpoint}',
            State.TRAINED: f'evaluates {progress.checkpoint}',
            State.EVALUATED: f'evaluates {progress.checkpoint} on training images',
        }[progress.state]
        self.say(f'{self.label}: {what}; output in {self.log}')
        if progress.state is State.EVALUATED:
            # Only now: some data sets make their files when they are first used.
            write_annotations(self.run.cfg, self.gap_images, self.run.work_dir.parent)
        with record.attempt(self.run.work_dir, shown(command)) as note:
            try:
                running = self.start(command)
                note['status'] = yield running
            finally:
                self.inspect(self.run)  # interrupted or not
        return note['status']

    def start(self, command: list[str]) -> Running:
        """Start a command, forked where that is possible."""
        environment = self.launcher.environment()
        if self.gpu is not None:
            environment['CUDA_VISIBLE_DEVICES'] = self.gpu
        arguments = (command, self.log, environment, self.lock)
        forked = self.forks.start(*arguments) if self.forks else None
        return forked or start_command(*arguments)

    def explain(self, status: int, progress: Progress) -> str:
        """Say why a run did not come further."""
        if status:
            how = f'signal {-status}' if status < 0 else f'status {status}'
            return f'failed with {how}; see {self.log}'
        if progress.state in (State.TRAINED, State.EVALUATED):
            keys = ', '.join(repr(metric.key) for metric in self.table.metrics)
            what = keys or 'number, as that of COCO where a model finds nothing'
            return f'failed: the evaluation gave no {what}; see {self.log}'
        return (
            f'failed: the training ended, but {progress.checkpoint} is not the whole '
            'checkpoint of its end. Remove that file to train the rest again.'
        )


def in_words(progress: Progress) -> str:
    """Return a finished run's numbers."""
    return ', '.join(f'{title} {n:.2f}' for title, n in progress.metrics.items())
