"""Runs a script in a process that starts at once, and dies when it is told to.

The process is forked from a server that has imported torch and mmdet once and done
nothing since, so that the tenth run costs as little as a function call.
"""

from __future__ import annotations

import importlib.util
import itertools
import multiprocessing
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

_PRELOADED = [
    'mmdet.models',
    'mmdet.engine',
    'mmdet.visualization',
    'dropblock_mm.models.decode_heads.retina_seg_head',  # with mmseg's models
    # What the commands import once they have read their arguments.
    'dropblock_mm.commands.train',
    'dropblock_mm.commands.test',
    'dropblock_mm.hooks',
    'dropblock_mm.runs.hooks',
    'dropblock_mm.data_checks.build_errors',
    'dropblock_mm.data_checks.loaded',
    'dropblock_mm.data_checks.quick',
    'matplotlib.backends.backend_agg',
    'setuptools',  # MMEngine logs what extensions would be compiled with
    'dropblock_mm.testing.toy',
    __name__,
]


@dataclass(frozen=True)
class Fault:
    """What befalls a process when it is about to touch a file.

    Attributes:
        event: Python's audit event: 'open', 'os.rename' (also replacing) or
            'os.remove'.
        path: Regular expression found in the event's first path.
        kind: 'kill' is kill -9 before the operation, and 'ask to end' SIGTERM. 'kill
            inside' lets it write half of ``size`` first, and 'full disk' lets the
            system refuse the rest.
        size: Of the file that is written, in bytes.
        occurrence: The how many-th such event it is, from 1.
    """

    event: str
    path: str
    kind: str
    size: int = 0
    occurrence: int = 1

    def install(self) -> None:
        """Make this process subject to it, for good."""
        seen = itertools.count(1)

        def on_event(event: str, arguments: tuple[Any, ...]) -> None:
            matches = event == self.event and re.search(self.path, str(arguments[0]))
            if matches and next(seen) == self.occurrence:
                self._strike()

        sys.addaudithook(on_event)

    def _strike(self) -> None:
        if self.kind == 'kill':
            os.kill(os.getpid(), signal.SIGKILL)
        if self.kind == 'ask to end':
            os.kill(os.getpid(), signal.SIGTERM)
            return
        # Python ignores the signal, and the system call fails; by default it kills.
        if self.kind == 'kill inside':
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size // 2, self.size // 2))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def start_script(
    script: Path,
    argv: Sequence[str],
    output: Path,
    fault: Fault | None = None,
    folder: Path | None = None,
) -> BaseProcess:
    """Start ``main(argv)`` of a Python script in a process of its own.

    Args:
        script: The file.
        argv: Its arguments.
        output: File for what it prints.
        fault: What happens to it.
        folder: Where it runs; here, if None.

    Returns:
        Process: It runs; ``exitcode`` is that of the script, or minus a signal.
    """
    return start(_run, script, argv, output, fault, folder or Path.cwd())


def start(target: Callable[..., None], *arguments: Any) -> BaseProcess:
    """Start a function in a process of its own; both have to be picklable."""
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(_PRELOADED)
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def hold(lock: object, ready: Path) -> None:
    """Do nothing until Ctrl-C, and then end with status 9; a target of :func:`start`.

    Args:
        lock: What the process is to keep.
        ready: A file that is made when it has begun.
    """
    os.setsid()
    # A shell's background commands ignore it, and what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ready.touch()
        while True:  # pause() would miss a signal that comes just before it
            time.sleep(0.05)
    except KeyboardInterrupt:
        raise SystemExit(9) from None


def _run(
    script: Path,
    argv: Sequence[str],
    output: Path,
    fault: Fault | None,
    folder: Path,
) -> None:
    """Do in the new process what the interpreter does with a script."""
    os.chdir(folder)
    with output.open('w') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    # Threads of several processes on a few cores wait for each other.
    torch.set_num_threads(1)
    if fault:
        fault.install()
    try:
        _load(script).main(argv)
    except Exception:
        traceback.print_exc()
        raise SystemExit(1) from None


def _load(script: Path) -> Any:
    spec = importlib.util.spec_from_file_location(script.stem, script)
    if spec is None or spec.loader is None:
        raise ImportError(f'{str(script)!r} is no Python file')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
