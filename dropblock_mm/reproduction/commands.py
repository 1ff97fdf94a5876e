"""The commands that train and evaluate a run."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass

from dropblock_mm.programs import ROOT, in_clone
from dropblock_mm.reproduction.plan import Run
from dropblock_mm.reproduction.state import EVALUATION, Progress, State

TOOLS = ROOT / 'tools'
PACKAGE = ('-m', 'dropblock_mm')  # what a wheel has instead of tools/


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
        found = {
            **os.environ,
            # The scripts call `python`, which is to be this one.
            'PATH': os.pathsep.join([python, os.environ.get('PATH', os.defpath)]),
        }
        if in_clone():
            paths = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
            found['PYTHONPATH'] = os.pathsep.join(paths)
        found.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
        if self.name == 'slurm':
            found['GPUS'] = str(self.gpus)
            found['GPUS_PER_NODE'] = str(self.gpus_per_node)
        return found

    @property
    def gpus_per_node(self) -> int:
        """Return how many of slurm's processes share a machine."""
        return min(self.gpus, int(os.environ.get('GPUS_PER_NODE', '8')))


def next_command(run: Run, progress: Progress, launcher: Launcher) -> list[str]:
    """Return the command that a run needs next; it is not finished."""
    if progress.state in (State.TRAINED, State.EVALUATED):
        on_training = progress.state is State.EVALUATED
        checkpoint = str(progress.checkpoint)
        return test_command(run, checkpoint, launcher, on_training=on_training)
    return train_command(run, launcher, resume=progress.state is State.INTERRUPTED)


def train_command(run: Run, launcher: Launcher, *, resume: bool) -> list[str]:
    """Return the command that trains, or goes on."""
    config, work_dir = str(run.config), str(run.work_dir)
    last = ['--resume'] if resume else []
    if not in_clone():
        words = [config, '--work-dir', work_dir, *last]
        return _module_command('train', words, launcher, job_name(run))
    if launcher.name == 'slurm':
        script = str(TOOLS / 'slurm_train.sh')
        return [script, launcher.partition, job_name(run), config, work_dir, *last]
    if launcher.name == 'pytorch':
        script = str(TOOLS / 'dist_train.sh')
        return [script, config, str(launcher.gpus), '--work-dir', work_dir, *last]
    script = str(TOOLS / 'train.py')
    return [sys.executable, script, config, '--work-dir', work_dir, *last]


def test_command(
    run: Run, checkpoint: str, launcher: Launcher, *, on_training: bool
) -> list[str]:
    """Return the command that evaluates; one GPU will do under slurm."""
    folder = run.work_dir_on_training if on_training else run.work_dir / EVALUATION
    work_dir = ['--work-dir', str(folder)]
    config = run.config_on_training if on_training else run.config
    words = [str(config), checkpoint]
    if launcher.name == 'pytorch' and in_clone():
        script = str(TOOLS / 'dist_test.sh')
        return [script, *words, str(launcher.gpus), *work_dir]
    if launcher.name == 'pytorch':
        return _module_command('test', [*words, *work_dir], launcher, job_name(run))
    program = [str(TOOLS / 'test.py')] if in_clone() else [*PACKAGE, 'test']
    command = [sys.executable, *program, *words, *work_dir]
    if launcher.name == 'slurm':
        job = ['-p', launcher.partition, f'--job-name={job_name(run)}', '--gres=gpu:1']
        return ['srun', *job, *command]
    return command


def _module_command(
    name: str, words: list[str], launcher: Launcher, job: str
) -> list[str]:
    """Start a command of the package as the scripts of tools/ do theirs."""
    program = [*PACKAGE, name, *words]
    if launcher.name == 'none':
        return [sys.executable, *program]
    program += ['--launcher', launcher.name]
    if launcher.name == 'pytorch':
        torchrun = ['-m', 'torch.distributed.run', '--standalone']
        processes = f'--nproc_per_node={launcher.gpus}'
        return [sys.executable, *torchrun, processes, *program]
    per_node = launcher.gpus_per_node
    return [
        'srun',
        *('-p', launcher.partition, f'--job-name={job}', f'--gres=gpu:{per_node}'),
        *(f'--ntasks={launcher.gpus}', f'--ntasks-per-node={per_node}'),
        f'--cpus-per-task={os.environ.get("CPUS_PER_TASK", "5")}',
        '--kill-on-bad-exit=1',
        *shlex.split(os.environ.get('SRUN_ARGS', '')),
        *(sys.executable, '-u', *program),
    ]


def job_name(run: Run) -> str:
    """Return a name for slurm's list of jobs."""
    return run.config.stem


def shown(command: list[str]) -> str:
    """Return a command as it would be typed, in the clone if there is one."""
    words = [
        'python' if word == sys.executable else word.removeprefix(f'{ROOT}/')
        for word in command
    ]
    return shlex.join(words)
