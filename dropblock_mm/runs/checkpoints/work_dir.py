"""Keeps a second training out of a folder in which one is at work."""

from __future__ import annotations

import fcntl
import os
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
            raise _held(runner.work_dir) from error
        except OSError:  # some network file systems have no locks
            pass
        yield


def refuse_held_work_dir(work_dir: str) -> None:
    """Refuse a work dir in which a training is at work, before anything is written.

    Two that start at once both pass; :func:`hold_work_dir` refuses one of them.

    Raises:
        RefusedValueError: Another process holds it.
    """
    try:
        with Path(work_dir, LOCK).open('r+') as file:
            os.lockf(file.fileno(), os.F_TEST, 0)
    except (BlockingIOError, PermissionError) as error:
        if error.filename is None:  # else it is not the lock that was refused
            raise _held(work_dir) from error
    except OSError:  # there is none, or the file system has no locks
        pass


def _held(work_dir: str) -> RefusedValueError:
    return RefusedValueError(
        f'--work-dir={work_dir!r}: another training is at work there. Wait for it, '
        'stop it, or give another --work-dir.'
    )
