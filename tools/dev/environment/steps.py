"""Runs the environment's Python: with a log, progress, and a clean end."""

import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import TextIO

from tools.dev.environment.machine import SetUpError
from tools.dev.environment.progress import Progress


class Steps:
    """Runs the environment's Python, step by step, with output to one log.

    Args:
        venv (Path): The environment.
        log (TextIO): Where the full output goes.
        lock (int): Descriptor of the lock. Children inherit it, so that the lock
            outlives this process while one of them still writes.
    """

    def __init__(self, venv: Path, log: TextIO, lock: int) -> None:
        self.venv, self.log, self.lock = venv, log, lock

    def pip(self, label: str, *args: str, **extra_env: str) -> None:
        """Run pip, as ``run`` does."""
        self.run(label, '-m', 'pip', *args, **extra_env)

    def run(self, label: str, *args: str, **extra_env: str) -> None:
        """Run the environment's Python, showing progress; stop if it fails.

        Args:
            label (str): What is being done, for people.
            *args (str): Arguments of Python.
            **extra_env (str): Variables on top of this process's.
        """
        self.log.write(f'\n### {label}: {" ".join(args)}\n')
        self.log.flush()
        progress = Progress(label)
        status = self._follow(progress, args, extra_env)
        if status:
            raise SetUpError(
                f'{label} failed with exit status {status}. From {self.log.name}:'
                '\n    ' + '\n    '.join(progress.summary())
            )

    def ask(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run a few lines of Python in the environment and keep what they print."""
        return self._answer('-c', code)

    def ask_pip(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run pip and keep what it says, for questions that are quickly answered."""
        return self._answer('-m', 'pip', *args)

    def _answer(self, *args: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.venv / 'bin/python'), *args]
        return subprocess.run(command, capture_output=True, text=True)

    def _follow(self, progress: Progress, args: tuple, extra_env: dict) -> int:
        process = subprocess.Popen(
            [str(self.venv / 'bin/python'), *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            env={**os.environ, **self._activated(), **extra_env},
            pass_fds=(self.lock,),
            start_new_session=True,  # so that its whole family can be stopped
        )
        reader = threading.Thread(target=self._drain, args=(process, progress))
        reader.start()
        try:
            progress.show_until(lambda: process.poll() is not None)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            reader.join()
            progress.close(process.returncode)
        return process.returncode

    def _activated(self) -> dict[str, str]:
        """As if the environment were: torch looks for ninja on the PATH."""
        path = os.environ.get('PATH', os.defpath)
        return {
            'PATH': f'{self.venv / "bin"}{os.pathsep}{path}',
            'PYTHONUNBUFFERED': '1',
        }

    def _drain(self, process: subprocess.Popen, progress: Progress) -> None:
        """Copy a process's output to the log as it comes."""
        for line in process.stdout or ():
            self.log.write(line)
            self.log.flush()
            progress.feed(line.rstrip())
