"""The commands that train and evaluate a run."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from dropblock_mm.reproduction.plan import Run
from dropblock_mm.reproduction.state import EVALUATION, Progress, State

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'


@dataclass(frozen=True)
class Launcher:
    """How processes are started.

    Args:
        name: 'none', 'pytorch' or 'slurm'.
        gpus: Number of processes, each with a GPU where there are any.
        partition: Of slurm.
    """

    name: str = 'none'
    gpus: int = 1
    partition: str = ''

    def environment(self) -> dict[str, str]:
        """Return the environment of the commands."""
        python = os.path.dirname(sys.executable)
        paths = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
        found = {
            **os.environ,
            # The scripts call `python`, which is to be this one.
            'PATH': os.pathsep.join([python, os.environ.get('PATH', os.defpath)]),
            'PYTHONPATH': os.pathsep.join(paths),
        }
        found.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
        if self.name == 'slurm':
            found['GPUS'] = str(self.gpus)
            per_node = int(os.environ.get('GPUS_PER_NODE', '8'))
            found['GPUS_PER_NODE'] = str(min(self.gpus, per_node))
        return found


def next_command(run: Run, progress: Progress, launcher: Launcher) -> list[str]:
    """Return the command that a run needs next; it is not finished."""
    if progress.state is State.TRAINED:
        return test_command(run, str(progress.checkpoint), launcher)
    return train_command(run, launcher, resume=progress.state is State.INTERRUPTED)


def train_command(run: Run, launcher: Launcher, *, resume: bool) -> list[str]:
    """Return the command that trains, or goes on."""
    config, work_dir = str(run.config), str(run.work_dir)
    last = ['--resume'] if resume else []
    if launcher.name == 'slurm':
        script = str(TOOLS / 'slurm_train.sh')
        return [script, launcher.partition, job_name(run), config, work_dir, *last]
    if launcher.name == 'pytorch':
        script = str(TOOLS / 'dist_train.sh')
        return [script, config, str(launcher.gpus), '--work-dir', work_dir, *last]
    script = str(TOOLS / 'train.py')
    return [sys.executable, script, config, '--work-dir', work_dir, *last]


def test_command(run: Run, checkpoint: str, launcher: Launcher) -> list[str]:
    """Return the command that evaluates; one GPU will do under slurm."""
    work_dir = ['--work-dir', str(run.work_dir / EVALUATION)]
    words = [str(run.config), checkpoint]
    if launcher.name == 'pytorch':
        script = str(TOOLS / 'dist_test.sh')
        return [script, *words, str(launcher.gpus), *work_dir]
    command = [sys.executable, str(TOOLS / 'test.py'), *words, *work_dir]
    if launcher.name == 'slurm':
        job = ['-p', launcher.partition, f'--job-name={job_name(run)}', '--gres=gpu:1']
        return ['srun', *job, *command]
    return command


def job_name(run: Run) -> str:
    """Return a name for slurm's list of jobs."""
    return run.config.stem


def shown(command: list[str]) -> str:
    """Return a command as it would be typed in the clone."""
    words = [
        'python' if word == sys.executable else word.removeprefix(f'{ROOT}/')
        for word in command
    ]
    return shlex.join(words)
