"""Lets what a scheduler sends end a training as Ctrl-C does."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_caught: set[signal.Signals] = set()


def _leave_to_the_system() -> None:
    """In a forked process, let the signals end it as they end any other.

    Pools end their workers by SIGTERM. One that raises instead, in the middle of giving
    back a lock, leaves the others waiting for it for ever.
    """
    for number in _caught:
        signal.signal(number, signal.SIG_DFL)
    _caught.clear()


os.register_at_fork(after_in_child=_leave_to_the_system)


class StoppedError(KeyboardInterrupt):
    """The process was asked to end.

    Args:
        number: The signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.status = 128 + number  # a shell's, of what a signal has ended


@contextmanager
def stopped_by_schedulers() -> Iterator[None]:
    """Around a training in one process.

    Not of several: one that waits for another, in a library, hears of it too late.

    Raises:
        StoppedError: At SIGTERM, which schedulers send some seconds before they kill,
            and at SIGHUP, of a terminal that closes, unless nohup has it ignored.
    """
    numbers = [
        number
        for number in (signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in numbers:
        signal.signal(number, _stop)
    _caught.update(numbers)
    try:
        yield
    finally:
        _caught.difference_update(numbers)
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise StoppedError(number)
