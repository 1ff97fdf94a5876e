"""Runs commands so that Ctrl-C ends them in their own way."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TextIO

from dropblock_mm.errors import RefusedError

PATIENCE = {signal.SIGINT: 30.0, signal.SIGTERM: 10.0}  # seconds
TAIL = 15  # lines
_MESSAGE = re.compile(r'^error: .*(?:\n  .*)*', re.MULTILINE)


class Running(Protocol):
    """A command at work."""

    def poll(self) -> int | None:
        """Return its exit status, of a signal its negative number; None before."""

    def stop(self) -> None:
        """End it and its children, politely first; a second Ctrl-C at once."""


class Process:
    """A command in a process of its own.

    Args:
        process: Leader of a session.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def poll(self) -> int | None:
        """See :class:`Running`."""
        return self.process.poll()

    def stop(self) -> None:
        """See :class:`Running`."""
        stop_session(self.process.pid, self._ended_within)

    def _ended_within(self, seconds: float | None) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.returncode is not None


def start_command(
    command: Sequence[str], log: Path, environment: Mapping[str, str], lock: int
) -> Process:
    """Start a command; its output is appended to a file.

    Args:
        command: Program and arguments.
        log: The file.
        environment: All of it.
        lock: File that stays locked as long as the command runs, even if this
            process is killed.
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
    return Process(process)


def run_command(
    command: Sequence[str], log: Path, environment: Mapping[str, str], lock: int
) -> int:
    """Run a command to its end; see :func:`start_command`.

    Returns:
        int: The exit status; of a signal, its negative number.

    Raises:
        KeyboardInterrupt: As it came, but after the command has ended.
    """
    running = start_command(command, log, environment, lock)
    try:
        return running.process.wait()
    except KeyboardInterrupt:
        running.stop()
        raise


def stop_session(pid: int, ended_within: Callable[[float | None], bool]) -> None:
    """End a session, politely first; a second Ctrl-C at once.

    Args:
        pid: Of its leader.
        ended_within: Waits for so many seconds, and tells whether the leader ended.
    """
    try:
        for number, seconds in PATIENCE.items():
            send(pid, number)
            if ended_within(seconds):
                return
    finally:
        send(pid, signal.SIGKILL)
        ended_within(None)


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a command and its children, if any are left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[int]:
    """Keep a folder for this process and the commands that it runs.

    Yields:
        int: The lock, for :func:`start_command`.

    Raises:
        RefusedError: Another process has it, or no files can be made in it.
    """
    with _lock_file(folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(
                f'another command, or a training that one left behind, is at work '
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
    """Return the message that a command ended with, or else the end of its output.

    Where it said more behind a message, both are returned.

    Args:
        log: The file.
        start: Where in the file the command's output begins, in bytes.
    """
    text = log.read_bytes()[start:].decode(errors='replace').rstrip()
    messages = list(_MESSAGE.finditer(text))
    if messages and messages[-1].end() == len(text):
        return textwrap.indent(messages[-1].group(), ' ' * 4)
    lines = text.splitlines()
    # Launchers and tracebacks say much after the one message that tells why.
    clues = dict.fromkeys(_MESSAGE.findall('\n'.join(lines[:-TAIL])))
    return textwrap.indent('\n'.join([*clues, *lines[-TAIL:]]), ' ' * 4)
