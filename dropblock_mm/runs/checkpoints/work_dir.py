"""Keeps a second training out of a folder in which one is at work."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.runner import Runner

from dropblock_mm.errors import RefusedValueError

LOCK = 'training.lock'


@contextmanager
def hold_work_dir(runner: Runner) -> Iterator[None]:
    """Hold the work dir of a run as long as it trains, in its first process.

    Two trainings would write the same checkpoints at the same time. The system gives
    the folder free when the process ends, however it ends.

    Args:
        runner (Runner): One that has not begun.

    Raises:
        ValueError: Another process holds it.
    """
    if runner.rank != 0:
        yield
        return
    # Not flock: workers that load data would inherit that, and outlive a kill.
    with Path(runner.work_dir, LOCK).open('a') as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise RefusedValueError(
                f'--work-dir={runner.work_dir!r}: another training is at work there. '
                'Wait for it, stop it, or give another --work-dir.'
            ) from error
        except OSError:  # some network file systems have no locks
            pass
        yield
