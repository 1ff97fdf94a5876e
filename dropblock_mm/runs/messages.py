"""Ends a command with one message where the user can mend what is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mmengine.hooks import Hook
from mmengine.runner import Runner

from dropblock_mm.errors import RefusedError, RefusedFileError, of_another_build
from dropblock_mm.runs.checkpoints.whole_files import DiskFullError
from dropblock_mm.runs.lost_files import LostFilesError
from dropblock_mm.runs.lost_ranks import LostRankError

EXIT_STATUS = 2
# What ends a training that was right, and is no bug of it.
_FROM_OUTSIDE = (DiskFullError, LostFilesError, LostRankError)


def is_user_mistake(error: BaseException) -> bool:
    """Tell a refusal, of the family in :mod:`dropblock_mm.errors`, from a bug.

    What MMEngine refuses is of it too, where it is called: see
    :func:`.refused_by_mmengine.refusing_what_mmengine_refuses`.
    """
    return isinstance(error, RefusedError)


@contextmanager
def one_message(unless: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """End the program with status 2 and one message at a user's mistake.

    All else is a bug and keeps its traceback. At any time a message ends it where a
    disk is full, a folder or another process has gone, or torchvision is of another
    build.

    Args:
        unless: Asked when something was raised; if it says True the exception
            passes as it is.
    """
    try:
        yield
    except Exception as error:
        environment = of_another_build(error)
        always = isinstance(error, _FROM_OUTSIDE) or environment
        if not always and (unless() or not is_user_mistake(error)):
            raise
        # Launchers start one process per GPU; one of them per machine speaks.
        if os.environ.get('LOCAL_RANK', '0') == '0':
            print(f'error: {environment or error}', file=sys.stderr, flush=True)
        raise SystemExit(EXIT_STATUS) from None


@contextmanager
def naming_missing_files() -> Iterator[None]:
    """Refuse files that were named on the command line and are not there.

    Raises:
        RefusedFileError: With its name.
    """
    try:
        yield
    except FileNotFoundError as error:
        if isinstance(error, RefusedError):
            raise
        told = f'{error.filename} does not exist; see --help'
        raise RefusedFileError(told) from error


class _Start(Hook):
    """Notes that a loop begins."""

    def __init__(self) -> None:
        self.passed = False

    def before_train(self, runner: Runner) -> None:
        self.passed = True

    before_val = before_test = before_train


def has_started(runner: Runner) -> Callable[[], bool]:
    """Watch a runner.

    Args:
        runner (Runner): A runner that has not begun.

    Returns:
        Callable: Tells whether all hooks let its training, or its test, begin.
    """
    start = _Start()
    runner.register_hook(start, priority='LOWEST')
    return lambda: start.passed
