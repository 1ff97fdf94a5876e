"""Starts commands of this package in processes that have imported all they need.

Importing torch and a library of OpenMMLab takes longer than a small training. Here
that is done once, in a server that does nothing else, and each command is forked from
it. The server has touched no GPU: what is forked from a process that has cannot use it.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from dropblock_mm.programs import PROGRAMS, ROOT, module_of
from dropblock_mm.reproduction import warm_imports
from dropblock_mm.reproduction.processes import Running, stop_session

PARTS = ('models', 'datasets', 'evaluation', 'engine', 'visualization')
OURS = (
    'dropblock_mm.commands.train',
    'dropblock_mm.commands.test',
    'dropblock_mm.hooks',
    'dropblock_mm.models',
    'dropblock_mm.runs.hooks',
    'dropblock_mm.data_checks.quick',
    'dropblock_mm.data_checks.build_errors',
    'dropblock_mm.data_checks.failed_batch',
    'dropblock_mm.data_checks.loaded',
)


def program_of(command: Sequence[str]) -> tuple[str, list[str]] | None:
    """Return the name and the arguments of a command of this package.

    Returns:
        None for any other, and for what a launcher starts.
    """
    if command[0] != sys.executable:
        return None
    if command[1:3] == ['-m', 'dropblock_mm'] and command[3] in PROGRAMS:
        return command[3], list(command[4:])
    scripts = {str(ROOT / known.script): name for name, known in PROGRAMS.items()}
    name = scripts.get(command[1])
    return (name, list(command[2:])) if name else None


class Warm:
    """A command that was forked.

    Args:
        process: Leader of a session, once it has begun.
    """

    def __init__(self, process: BaseProcess) -> None:
        self.process = process

    def poll(self) -> int | None:
        """See :class:`Running`."""
        return self.process.exitcode

    def stop(self) -> None:
        """See :class:`Running`."""
        stop_session(int(self.process.pid or 0), self._ended_within)

    def _ended_within(self, seconds: float | None) -> bool:
        self.process.join(seconds)
        return self.process.exitcode is not None


class Forks:
    """Starts commands by forking.

    Args:
        scope: Of the library whose modules are imported first, such as 'mmdet'.
    """

    def __init__(self, scope: str | None) -> None:
        self.context = multiprocessing.get_context('forkserver')
        self.context.set_forkserver_preload([__name__, warm_imports.__name__])
        library = [f'{scope}.{part}' for part in PARTS] if scope else []
        self.names = ' '.join([*library, *OURS])

    def start(
        self,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str],
        lock: int,
    ) -> Running | None:
        """Start a command, as :func:`.start_command` does.

        Returns:
            None if it is no command of this package.
        """
        program = program_of(command)
        if program is None:
            return None
        # MMEngine asks for GPUs when it is imported; asked in this way, the answer
        # leaves what is forked later able to use them.
        own = {'PYTORCH_NVML_BASED_CUDA_CHECK': '1', warm_imports.VARIABLE: self.names}
        process = self.context.Process(
            target=_run, args=(*program, str(log), dict(environment), _Lock(lock))
        )
        with _environment(own):  # of the server, which starts with the first process
            process.start()
        return Warm(process)


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


class _Lock:
    """A file that is handed on to the new process, which keeps it open."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _received, (DupFd(self.number),)


def _received(duplicate: Any) -> _Lock:
    return _Lock(duplicate.detach())


def _run(
    name: str,
    argv: list[str],
    log: str,
    environment: dict[str, str],
    lock: _Lock,
) -> None:
    """Do in the new process what the interpreter does with a command."""
    os.setsid()
    with open(log, 'ab') as output, open(os.devnull, 'rb') as nothing:
        os.dup2(nothing.fileno(), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [str(ROOT / PROGRAMS[name].script), *argv]
    _follow(environment)
    try:
        importlib.import_module(module_of(name)).main(argv)
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None


def _follow(environment: Mapping[str, str]) -> None:
    """Let torch use as many threads as a new interpreter would."""
    import torch

    threads = environment.get('OMP_NUM_THREADS', '')
    if threads.isdecimal() and int(threads):
        torch.set_num_threads(int(threads))
