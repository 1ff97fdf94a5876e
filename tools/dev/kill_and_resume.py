"""Kill trainings at random moments, resume them, and compare with one left alone.

Usage::

    python -m tools.dev.kill_and_resume [--times 200] [--seed 0]

Toy trainings of 12 iterations, by epochs and by iterations in turn, are ended by
``kill -9`` somewhere between their first iteration and their last checkpoint. Moments
are counted in iterations, and in shares of the time of the last one, so that a busy
machine changes nothing. Each is resumed by the command that started it, with
``--resume``. Then keep_prob, the learning rate and the images of every iteration have
to be those of a training that was left alone, in the logs of both parts; every
checkpoint has to be whole, and none that was saved may be lost. The exit status is 1
if one is not so.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from dropblock_mm.runs.training_log import read_rows
from dropblock_mm.testing.processes import start_script
from dropblock_mm.testing.seen_images import (
    BEGAN,
    ITERATIONS,
    SEEN_BY_ITERATION,
    SEEN_CONFIG,
)

SCRIPT = Path(__file__).resolve().parents[2] / 'tools/train.py'
SAME = ('keep_prob', 'lr', 'seen')
OFTEN = 0.0005  # seconds between two looks at a process that is to be killed
ATTEMPTS = 20
# A loop, its config, and the iterations between two checkpoints.
LOOPS = (('epochs', SEEN_CONFIG, 4), ('iterations', SEEN_BY_ITERATION, 2))


@dataclass(frozen=True)
class Row:
    """What the log says of an iteration."""

    step: int
    values: tuple[float, ...]


class Training:
    """A folder, and the command that trains in it.

    Args:
        folder: For the config, and for what is written.
        config: The config's text.
        every: Iterations between two checkpoints.
    """

    def __init__(self, folder: Path, config: str, every: int) -> None:
        folder.mkdir()
        self.config, self.every = folder / 'toy.py', every
        self.config.write_text(config, encoding='utf-8')
        self.work_dir, self.output = folder / 'run', folder / 'said.txt'

    def start(self, *argv: str) -> BaseProcess:
        """Train in a process of its own."""
        argv = (str(self.config), '--work-dir', str(self.work_dir), *argv)
        return start_script(SCRIPT, [*argv, '--dropblock', 'resnet_c5'], self.output)

    def rows(self) -> list[Row]:
        """All iterations that were logged, those before a kill first."""
        files = sorted(self.work_dir.glob('*/vis_data/scalars.json'))
        logged = [row for file in files for row in read_rows(file) if 'loss' in row]
        return [Row(row['step'], tuple(row[key] for key in SAME)) for row in logged]

    def checkpoints(self) -> dict[str, int]:
        """The iteration in which each checkpoint was saved, read from its content."""
        files = sorted(self.work_dir.glob('*.pth'))
        loaded = {f.name: torch.load(f, weights_only=False) for f in files}
        return {name: content['meta']['iter'] for name, content in loaded.items()}

    def named(self) -> str:
        """The file that the next start resumes from; '' if none is named."""
        path = self.work_dir / 'last_checkpoint'
        return Path(path.read_text(encoding='utf-8')).name if path.is_file() else ''


@dataclass(frozen=True)
class Left:
    """What a kill has left.

    Attributes:
        saved: The last iteration that is saved; 0 without a checkpoint.
        logged: The last iteration that was logged.
        saving: Whether it was at work on a checkpoint, or on its name.
        faults: What is wrong with that.
    """

    saved: int
    logged: int
    saving: bool
    faults: tuple[str, ...]


def look(training: Training) -> Left:
    """See what is in the folder of a training that was killed."""
    try:
        found = training.checkpoints()
    except Exception as error:  # whatever torch says of a damaged file
        return Left(0, 0, True, (f'a checkpoint is damaged: {error}',))
    saved, rows = max(found.values(), default=0), training.rows()
    logged = rows[-1].step if rows else 0
    # The next iteration begins when a checkpoint is in its place.
    due = (max(logged, 1) - 1) // training.every * training.every
    faults = [f'iteration {due} was saved, and {saved} is left'] if saved < due else []
    if (saved >= training.every) != bool(found):
        faults.append(f'{sorted(found)} are left of iteration {saved}')
    if training.named() and training.named() not in found:
        faults.append(f'{training.named()!r} is named, and {sorted(found)} are left')
    newest = max(found, key=found.__getitem__, default='')
    saving = len(found) > 1 or training.named() != newest
    saving = saving or any(training.work_dir.glob('*.part'))
    return Left(saved, logged, saving, tuple(faults))


def compare(training: Training, left: Left, before: int, whole: Training) -> list[str]:
    """Say how a resumed training differs from one left alone.

    Args:
        training: It has ended.
        left: What the kill had left.
        before: Lines of the log that were there then.
        whole: The one left alone.
    """
    expected = {row.step: row for row in whole.rows()}
    rows = training.rows()
    steps = [row.step for row in rows[before:]]
    faults = []
    if steps != list(range(left.saved + 1, ITERATIONS + 1)):
        faults.append(f'resumed after {left.saved}, it did the iterations {steps}')
    for row in rows:
        if row != expected[row.step]:
            faults.append(f'{SAME} of {row}, {expected[row.step]} if left alone')
    if training.checkpoints() != whole.checkpoints():
        faults.append(f'{training.checkpoints()} at the end')
    if training.named() != whole.named():
        faults.append(f'{training.named()!r} is named at the end')
    if list(training.work_dir.glob('*.part')):
        faults.append('a part of a file is left')
    return faults


def kill(process: BaseProcess, work_dir: Path, moment: float) -> bool:
    """Kill a training in its iteration ``int(moment)``, from 0, or behind it.

    What is left of ``moment`` is half of the delay, in times of the iteration before: a
    checkpoint that is saved after an iteration is hit too.

    Returns:
        bool: Whether it had not ended before.
    """
    began = work_dir / BEGAN.format(int(moment))
    while process.exitcode is None and not began.exists():
        time.sleep(OFTEN)
    if process.exitcode is None:
        time.sleep(2 * (moment % 1) * float(began.read_text(encoding='utf-8')))
        process.kill()
    process.join()
    return process.exitcode == -9


class Trials:
    """Kills trainings of one loop.

    Args:
        folder: For all of them.
        name: Of the loop, in ``LOOPS``.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name, self.number = folder / name, name, 0
        self.folder.mkdir()
        _, self.config, self.every = next(loop for loop in LOOPS if loop[0] == name)
        self.whole = self._new()
        self.whole.start().join()
        if len(self.whole.rows()) != ITERATIONS:
            raise RuntimeError(self.whole.output.read_text(encoding='utf-8'))

    def _new(self) -> Training:
        self.number += 1
        return Training(self.folder / str(self.number), self.config, self.every)

    def trial(self, moment: float) -> Left:
        """Kill one after a share of its iterations, and resume it.

        Returns:
            Left: With the faults of what follows, too.

        Raises:
            RuntimeError: None was killed: all had ended before.
        """
        for attempt in range(ATTEMPTS):
            training = self._new()
            earlier = max(moment - attempt / ATTEMPTS, 0.0)
            if kill(training.start(), training.work_dir, earlier * ITERATIONS):
                break
        else:
            raise RuntimeError(training.output.read_text(encoding='utf-8'))
        left, before = look(training), len(training.rows())
        process = training.start('--resume')
        process.join()
        if process.exitcode:
            said = training.output.read_text(encoding='utf-8')
            faults = [f'resumed, it ended with status {process.exitcode}: {said}']
        else:
            faults = compare(training, left, before, self.whole)
        return Left(left.saved, left.logged, left.saving, (*left.faults, *faults))


def trials(folder: Path, times: int, seed: int) -> Iterator[tuple[str, float, Left]]:
    """Kill and resume so many trainings of both loops in turn.

    Yields:
        tuple: The loop, the moment as a share of its iterations, and what came of it.
    """
    chance = random.Random(seed)
    loops = [Trials(folder, name) for name, *_ in LOOPS]
    for number in range(times):
        # One in each of equal parts of the training.
        moment = (number + chance.random()) / times
        loop = loops[number % len(loops)]
        yield loop.name, moment, loop.trial(moment)


def main(argv: Sequence[str] | None = None) -> int:
    """Count and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--times', type=int, default=200, help='(200)')
    parser.add_argument('--seed', type=int, default=0, help='(0)')
    args = parser.parse_args(argv)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for loop, moment, left in trials(Path(folder), args.times, args.seed):
            counts[loop] += 1
            counts[f'{loop} right'] += not left.faults
            counts[f'{loop} early'] += not left.saved
            counts[f'{loop} saving'] += left.saving
            for fault in left.faults:
                print(f'{loop}, at {moment:.4f}: {fault}', file=sys.stderr)
    for loop, *_ in LOOPS:
        print(
            f'{loop}: {counts[f"{loop} right"]} of {counts[loop]} went on as if not '
            f'killed; {counts[f"{loop} early"]} were killed before the first '
            f'checkpoint, {counts[f"{loop} saving"]} while one was saved'
        )
    right = sum(counts[f'{loop} right'] for loop, *_ in LOOPS)
    print(f'{right} of {args.times}')
    return int(right != args.times)


if __name__ == '__main__':
    raise SystemExit(main())
