"""Runs a series as an array of Slurm jobs, by submitit.

submitit writes the script, submits it, and knows how each job of the array stands; of
what was at hand it needs least: two small packages, and no server of its own, which Ray
Tune would have. A job is the command that was typed, for one run.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dropblock_mm.errors import MissingPackageError, RefusedStateError
from dropblock_mm.programs import module_of
from dropblock_mm.reproduction.processes import locked
from dropblock_mm.reproduction.state import State

if TYPE_CHECKING:
    from dropblock_mm.reproduction.plan import Run
    from dropblock_mm.reproduction.series import Series

FOLDER = 'slurm'  # of scripts and outputs, in the work dir
EVERY = 2.0  # seconds between two looks


@dataclass(frozen=True)
class Array:
    """What Slurm is asked for.

    Args:
        partition: Where.
        gpus: For each job; None for no GPU.
        minutes: For each job.
        options: Further ones of sbatch, without their dashes.
    """

    partition: str
    gpus: int | None = None
    minutes: int = 1440
    options: dict[str, Any] = field(default_factory=dict)

    def parameters(self, at_once: int) -> dict[str, Any]:
        """Return what submitit is told.

        Args:
            at_once: How many jobs may run at the same time.
        """
        extra = {key.replace('-', '_'): value for key, value in self.options.items()}
        found: dict[str, Any] = {
            'name': 'dropblock_mm',
            'timeout_min': self.minutes,
            'slurm_partition': self.partition,
            'slurm_array_parallelism': at_once,
        }
        if self.gpus:
            found['gpus_per_node'] = self.gpus
        if extra:
            found['slurm_additional_parameters'] = extra
        return found


def job_arguments(argv: Sequence[str], run: str, gpus: int | None) -> list[str]:
    """Return what a job's command is given.

    Args:
        argv: As it was typed, with --array.
        run: Name of the job's run.
        gpus: For each job.
    """
    launcher = ['--launcher', 'pytorch'] if gpus and gpus > 1 else []
    kept = [word for word in argv if word != '--array']
    if gpus == 1:
        kept = without_option(kept, '--gpus')
    return [*without_option(kept, '--partition'), *launcher, '--only', run]


def without_option(words: Sequence[str], option: str) -> list[str]:
    """Leave out an option and its value."""
    kept, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word == option:
            skip = True
        elif not word.startswith(f'{option}='):
            kept.append(word)
    return kept


def carry_out(name: str, argv: list[str]) -> str:
    """Do in a job what a command does.

    Args:
        name: The command's.
        argv: Its arguments.

    Returns:
        str: What submitit keeps as the result.

    Raises:
        RuntimeError: It failed; the run's output says how.
    """
    try:
        importlib.import_module(module_of(name)).main(argv)
    except SystemExit as end:
        if end.code:
            raise RuntimeError(f'{name} {argv[-1]} ended with {end.code}') from None
    return 'done'


def executor_for(series: Series, array: Array) -> Any:
    """Return submitit's executor.

    Raises:
        MissingPackageError: submitit is not installed.
        RefusedStateError: There is no Slurm on this machine.
    """
    if importlib.util.find_spec('submitit') is None:
        raise MissingPackageError(
            '--array needs the package submitit, which is not installed: pip install '
            'submitit. Without it take --launcher slurm, one job after the other.'
        )
    # Setting up its logger would close the log files of the whole process.
    os.environ.setdefault('SUBMITIT_LOG_LEVEL', 'NOCONFIG')
    import submitit

    folder = series.work_dir / FOLDER
    executor = submitit.AutoExecutor(folder=folder)
    if executor.cluster != 'slurm':
        raise RefusedStateError(
            '--array needs the command srun of Slurm, and this machine has none on its '
            'PATH. Leave --array out.'
        )
    executor.update_parameters(**array.parameters(series.at_once))
    return executor


def run_array(
    series: Series, array: Array, name: str, argv: Sequence[str]
) -> list[str]:
    """Run what is not finished as an array, and wait for it.

    Args:
        series: The series.
        array: What Slurm is asked for.
        name: The command's.
        argv: Its arguments.

    Returns:
        list[str]: What failed, in words.
    """
    executor = executor_for(series, array)
    with locked(series.work_dir):
        series.prepare()
        waiting = [
            run
            for run in series.plan.asked
            if series.progress[run.config].state is not State.FINISHED
        ]
        given = [job_arguments(argv, run.name, array.gpus) for run in waiting]
        jobs = submitted(executor, name, given) if given else []
        active = list(zip(waiting, jobs, strict=True))
        for run, job in active:
            series.say(f'{run}: job {job.job_id}')
        failed = []
        try:
            while active:
                for pair in ended(active):
                    active.remove(pair)
                    run, job = pair
                    problem = outcome(series, run, job)
                    if problem:
                        failed.append(f'{run}: {problem}')
                    left = f'{len(active)} of {len(waiting)} left'
                    series.say(f'{run}: {problem or "finished"}; {left}')
                    series.write_report()
                time.sleep(EVERY if active else 0)
        finally:
            for _, job in active:
                job.cancel()
            series.write_report()
    series.conclude(failed)
    return failed


def submitted(executor: Any, name: str, given: Sequence[list[str]]) -> list[Any]:
    """Submit the array.

    Args:
        executor: submitit's.
        name: The command's.
        given: The arguments of each job.

    Raises:
        RefusedStateError: Slurm does not take it.
    """
    from submitit.core.utils import FailedJobError

    try:
        return executor.map_array(carry_out, [name] * len(given), given)
    except FailedJobError as error:
        raise RefusedStateError(
            f'--array: sbatch did not take the jobs: {str(error).strip()}. Is this a '
            'machine that submits to Slurm, and is --partition right? Nothing was '
            'started.'
        ) from error


def ended(active: Sequence[tuple[Run, Any]]) -> list[tuple[Run, Any]]:
    """Return the runs whose jobs are at their end.

    A job that succeeds, or fails, leaves a result. One that is killed leaves none, and
    submitit finds that out from Slurm's accounting, which not every cluster has: here
    the queue is asked.
    """
    # The queue first: a job may end between the two looks.
    queued = queue({job.job_id.partition('_')[0] for _, job in active})
    return [
        (run, job)
        for run, job in active
        if job.paths.result_pickle.exists()
        or (queued is not None and job.job_id not in queued)
    ]


def queue(arrays: Collection[str]) -> set[str] | None:
    """Return the jobs of arrays that wait or run, such as '7_0'.

    Returns:
        None if Slurm does not answer.
    """
    asked = ['--noheader', '--array', '--format=%F_%K', f'--jobs={",".join(arrays)}']
    done = subprocess.run(
        ['squeue', *asked], capture_output=True, text=True, check=False
    )
    if done.returncode and 'Invalid job id' not in done.stderr:
        return None
    return set(done.stdout.split())


def outcome(series: Series, run: Run, job: Any) -> str:
    """Say what went wrong with a job's run, or ''."""
    if series.inspect(run).state is State.FINISHED:
        return ''
    how = 'failed' if job.paths.result_pickle.exists() else 'was ended from outside'
    return f'job {job.job_id} {how}; see {job.paths.stderr}'
