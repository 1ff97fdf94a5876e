"""Runs commands one after the other, so that Ctrl-C ends them in their own way."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from dropblock_mm.errors import RefusedError

PATIENCE = {signal.SIGINT: 30.0, signal.SIGTERM: 10.0}  # seconds
TAIL = 15  # lines
_MESSAGE = re.compile(r'^error: .*(?:\n  .*)*', re.MULTILINE)


def run_command(
    command: Sequence[str], log: Path, environment: Mapping[str, str], lock: int
) -> int:
    """Run a command to its end; its output is appended to a file.

    Args:
        command: Program and arguments.
        log: The file.
        environment: All of it.
        lock: File that stays locked as long as the command runs, even if this
            process is killed.

    Returns:
        int: The exit status; of a signal, its negative number.

    Raises:
        KeyboardInterrupt: As it came, but after the command has ended.
    """
    with log.open('a') as output:
        # A session of its own: Ctrl-C reaches this process alone, which passes it on
        # to the command and all that it started, once.
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,
            pass_fds=[lock],
        )
        try:
            return process.wait()
        except KeyboardInterrupt:
            stop(process)
            raise


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a command and its children, politely first; a second Ctrl-C at once."""
    try:
        for number, seconds in PATIENCE.items():
            send(process, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
                return
    finally:
        send(process, signal.SIGKILL)
        process.wait()


def send(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a command and its children, if any are left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Keep a folder for this process and the commands that it runs.

    Yields:
        int: The lock, for :func:`run_command`.

    Raises:
        RefusedError: Another process has it, or no files can be made in it.
    """
    with _lock_file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(
                f'another reproduce, or a training that one left behind, is at work '
                f'in {folder}. Wait for it, end it, or give another --work-dir.'
            ) from None
        yield file.fileno()


def _lock_file(folder: Path) -> TextIO:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / 'lock').open('w')
    except OSError as error:
        raise RefusedError(
            f'--work-dir {str(folder)!r} is no folder to write in ({error.strerror}: '
            f'{error.filename!r}). Give another.'
        ) from error


def tail(log: Path, start: int = 0) -> str:
    """Return the end of a command's output, and the message that it ended with.

    Args:
        log: The file.
        start: Where in the file the command's output begins, in bytes.
    """
    lines = log.read_bytes()[start:].decode(errors='replace').splitlines()
    # Launchers and tracebacks say much after the one message that tells why.
    clues = dict.fromkeys(_MESSAGE.findall('\n'.join(lines[:-TAIL])))
    return textwrap.indent('\n'.join([*clues, *lines[-TAIL:]]), ' ' * 4)
