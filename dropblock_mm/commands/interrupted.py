"""What a command says that was interrupted, and goes on when it is started again."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from dropblock_mm.programs import typed

INTERRUPTED = 130  # a shell's status after Ctrl-C


@contextmanager
def going_on(name: str, argv: Sequence[str]) -> Iterator[None]:
    """Around a command that keeps what it has done: say so when it is interrupted.

    Args:
        name: The command's.
        argv: What followed it.

    Raises:
        SystemExit: With the status of an interrupted command.
    """
    try:
        yield
    except KeyboardInterrupt:
        again = typed(name, *argv)
        print(f'\ninterrupted; the same command goes on: {again}', flush=True)
        sys.exit(INTERRUPTED)
