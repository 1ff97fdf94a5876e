"""How every command ends that is interrupted: one line, and a shell's exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TypeVar

from dropblock_mm.programs import INTERRUPTED, typed


class InterruptedCommandError(KeyboardInterrupt):
    """A command was interrupted, and has more to say than that it was.

    Args:
        told: What is left, and how to go on.
        status: To end with.
    """

    def __init__(self, told: str, status: int = INTERRUPTED) -> None:
        super().__init__(told)
        self.told, self.status = told, status


Result = TypeVar('Result')
Main = Callable[..., Result]  # of the words of a command line, or of sys.argv's


def interruptible(
    name: str, *, goes_on: bool = False
) -> Callable[[Main[Result]], Main[Result]]:
    """Have a command's ``main`` end with one line and status 130 at Ctrl-C.

    Args:
        name: The command's.
        goes_on: It keeps what it has done, and goes on from there when it is started
            again. Else it begins anew: its files are written whole, or not at all.
    """
    does = 'goes on' if goes_on else 'begins anew'

    def decorate(main: Main[Result]) -> Main[Result]:
        @wraps(main)
        def ending(argv: Sequence[str] | None = None) -> Result:
            try:
                return main(argv)
            except InterruptedCommandError as error:
                print(error.told, file=sys.stderr, flush=True)
                sys.exit(error.status)
            except KeyboardInterrupt:
                again = typed(name, *(sys.argv[1:] if argv is None else argv))
                told = f'\ninterrupted; the same command {does}: {again}'
                print(told, file=sys.stderr, flush=True)
                sys.exit(INTERRUPTED)

        return ending

    return decorate
