"""Lets what a scheduler sends end a training as Ctrl-C does."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn


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
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise StoppedError(number)
