"""What Slurm is asked for, and what a job does."""

import os
import subprocess
import sys

import pytest

from dropblock_mm.errors import MissingPackageError
from dropblock_mm.reproduction import slurm_array
from dropblock_mm.reproduction.slurm_array import Array, job_arguments

TYPED = ['c.py', '--array', '--partition', 'p', '--at-once', '4', '--seeds', '0', '1']


def test_a_job_is_the_command_for_one_run():
    assert job_arguments(TYPED, 'none_seed0', None) == [
        *('c.py', '--at-once', '4', '--seeds', '0', '1', '--only', 'none_seed0')
    ]
    one = job_arguments([*TYPED, '--gpus', '1'], 'x', 1)
    assert '--gpus' not in one
    assert '--launcher' not in one
    four = job_arguments([*TYPED, '--gpus=4'], 'x', 4)
    assert four[-5:] == ['--gpus=4', '--launcher', 'pytorch', '--only', 'x']
    assert '--partition' not in job_arguments(['c.py', '--partition=p'], 'x', None)


def test_what_is_asked_for():
    array = Array('p', 2, 30, {'cpus-per-task': 8})
    assert array.parameters(3) == {
        'name': 'dropblock_mm',
        'timeout_min': 30,
        'slurm_partition': 'p',
        'slurm_array_parallelism': 3,
        'gpus_per_node': 2,
        'slurm_additional_parameters': {'cpus_per_task': 8},
    }
    assert set(Array('p').parameters(1)) == {
        'name',
        'timeout_min',
        'slurm_partition',
        'slurm_array_parallelism',
    }


class Job:
    """A job, with a result or without."""

    def __init__(self, folder, job_id, *, result):
        self.job_id, self.paths = job_id, self
        self.result_pickle = folder / job_id
        if result:
            self.result_pickle.write_text('')


@pytest.fixture
def squeue(monkeypatch):
    """A function that says what squeue answers."""

    def answer(stdout, stderr='', status=0):
        done = subprocess.CompletedProcess([], status, stdout, stderr)
        monkeypatch.setattr(slurm_array.subprocess, 'run', lambda *a, **k: done)

    return answer


def test_a_job_ends_with_a_result_or_by_leaving_the_queue(squeue, tmp_path):
    jobs = [
        ('done', Job(tmp_path, '7_0', result=True)),
        ('running', Job(tmp_path, '7_1', result=False)),
        ('killed', Job(tmp_path, '7_2', result=False)),
    ]
    squeue('7_1\n')
    assert [run for run, _ in slurm_array.ended(jobs)] == ['done', 'killed']
    squeue('', 'slurm_load_jobs error: Invalid job id specified', 1)
    assert len(slurm_array.ended(jobs)) == 3
    squeue('', 'Unable to contact slurm controller', 1)
    assert [run for run, _ in slurm_array.ended(jobs)] == ['done']


def test_without_submitit_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(slurm_array.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(MissingPackageError, match='pip install submitit'):
        slurm_array.executor_for(None, Array('p'))


def test_a_job_that_fails_leaves_an_error(monkeypatch):
    class Module:
        @staticmethod
        def main(argv):
            raise SystemExit(int(argv[-1]))

    monkeypatch.setattr(slurm_array.importlib, 'import_module', lambda name: Module)
    assert slurm_array.carry_out('sweep', ['0']) == 'done'
    with pytest.raises(RuntimeError, match='ended with 2'):
        slurm_array.carry_out('sweep', ['2'])


def test_what_slurm_does_not_take_is_one_message(part, refusal, monkeypatch):
    # Imported as it comes, it would close the logs of the tests after this one.
    monkeypatch.setenv('SUBMITIT_LOG_LEVEL', 'NOCONFIG')
    utils = pytest.importorskip('submitit.core.utils', reason='needs submitit')

    class Executor:
        def map_array(self, *given):
            raise utils.FailedJobError('sbatch: error: invalid partition\n')

    with pytest.raises(refusal, match=r'the jobs: sbatch: error: invalid partition\.'):
        part('slurm_array').submitted(Executor(), 'sweep', [['a']])


# What is closed stays closed, so this needs a process in which nothing was imported.
LOG_BEFORE_AND_AFTER = """
import contextlib, logging, pathlib, types
from dropblock_mm.errors import RefusedStateError
from dropblock_mm.reproduction import slurm_array

log = logging.getLogger('mmengine')
log.addHandler(logging.FileHandler('log.txt', 'w'))
log.warning('before')
series = types.SimpleNamespace(work_dir=pathlib.Path('work'), at_once=1)
with contextlib.suppress(RefusedStateError):  # there may be no Slurm
    slurm_array.executor_for(series, slurm_array.Array('p'))
log.warning('after')
"""


def test_the_log_files_of_the_process_stay_open(tmp_path, repo_root):
    pytest.importorskip('submitit', reason='needs submitit')
    subprocess.run(
        [sys.executable, '-c', LOG_BEFORE_AND_AFTER],
        env={**os.environ, 'PYTHONPATH': str(repo_root)},
        cwd=tmp_path,
        check=True,
    )
    assert (tmp_path / 'log.txt').read_text() == 'before\nafter\n'
