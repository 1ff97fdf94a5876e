"""A real Slurm of one machine: tools/slurm_train.sh, and an array of jobs.

It takes Debian's slurm-wlm and munge, root, and for the array the package submitit.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dropblock_mm.testing.toy import EVALUATED_TOY_CONFIG

ROOT = Path(__file__).resolve().parents[2]
START = ROOT / 'tools/dev/start_slurm.sh'
GLOO = 'env_cfg.dist_cfg.backend=gloo'

pytestmark = pytest.mark.nightly


@pytest.fixture(scope='module')
def slurm(tmp_path_factory):
    """The environment of a Slurm that runs for the tests of this file."""
    path = f'{os.environ["PATH"]}:/usr/sbin'
    missing = [
        name
        for name in ('slurmctld', 'slurmd', 'munged')
        if not shutil.which(name, path=path)
    ]
    if missing or os.geteuid():
        pytest.skip(f'needs root, slurm-wlm and munge; missing: {missing}')
    folder = tmp_path_factory.mktemp('slurm')
    subprocess.run([str(START), str(folder)], check=True)
    python = str(Path(sys.executable).parent)
    yield {
        **os.environ,
        'PATH': f'{python}:{path}',
        'SLURM_CONF': str(folder / 'slurm.conf'),
        'PYTHONPATH': os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        'OMP_NUM_THREADS': '1',
    }
    subprocess.run([str(START), '--stop', str(folder)], check=True)


@pytest.fixture
def run(slurm, tmp_path):
    """A function that runs a command with that Slurm, and returns what it said."""
    (tmp_path / 'toy.py').write_text(
        EVALUATED_TOY_CONFIG.replace('max_epochs=3', 'max_epochs=1')
    )

    def start(*words, status=0, **variables):
        done = subprocess.run(
            [str(word) for word in words],
            cwd=tmp_path,
            env={**slurm, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == status, done.stdout[-4000:]
        return done.stdout

    return start


def test_two_tasks_train_together(run, tmp_path):
    options = ('--cfg-options', GLOO)
    said = run(
        *(ROOT / 'tools/slurm_train.sh', 'local', 'job', 'toy.py', 'runs', *options),
        GPUS='2',
        GPUS_PER_NODE='2',
        CPUS_PER_TASK='1',
    )
    # Eight images, two a process: two iterations of two processes.
    assert '[2/2]' in said
    assert (tmp_path / 'runs/epoch_1.pth').is_file()


def test_a_sweep_runs_as_an_array_and_goes_on(run, tmp_path):
    if importlib.util.find_spec('submitit') is None:
        pytest.skip('needs the package submitit')
    sweep = [sys.executable, ROOT / 'tools/sweep.py', 'toy.py', '--work-dir', 'runs']
    grid = ['--keep-prob', '0.5', '1', '--block-size', '1', '--seeds', '0']
    array = ['--array', '--partition', 'local', '--at-once', '2', '--minutes', '10']
    said = run(*sweep, *grid, *array, '--sbatch', 'cpus-per-task=1')
    assert said.count(': finished; ') == 2
    content = json.loads((tmp_path / 'runs/sweep.json').read_text())
    assert [run['state'] for run in content['runs']] == ['finished'] * 2
    assert not content['failed']
    assert list((tmp_path / 'runs/slurm').glob('*_0_0_log.out'))
    # Nothing is left to do, and no job is submitted for that.
    before = set((tmp_path / 'runs/slurm').iterdir())
    run(*sweep, *grid, *array)
    assert set((tmp_path / 'runs/slurm').iterdir()) == before


def test_a_job_that_fails_is_kept_apart(run, tmp_path):
    if importlib.util.find_spec('submitit') is None:
        pytest.skip('needs the package submitit')
    sweep = [sys.executable, ROOT / 'tools/sweep.py', 'toy.py', '--work-dir', 'runs']
    grid = ['--keep-prob', '0.5', '1', '--block-size', '1', '--seeds', '0']
    array = ['--array', '--partition', 'local', '--minutes', '10']
    bad = ['--cfg-options', 'train_dataloader.batch_size=0']
    said = run(*sweep, *grid, *array, *bad, status=1)
    assert '2 of 2 runs failed' in said
    assert re.search(r'job \d+_1 failed; see \S+/runs/slurm/\d+_1_0_log.err', said)
    content = json.loads((tmp_path / 'runs/sweep.json').read_text())
    assert [failed['how'] for failed in content['failed']] == ['status 1'] * 2
    assert 'batch_size' in (tmp_path / 'runs/none_seed0/output.log').read_text()


@pytest.mark.parametrize(
    ('command', 'options', 'arms'),
    [
        ('compare', ['--dropblock', 'resnet_c4c5'], ['none', 'resnet_c4c5']),
        ('sweep', ['--keep-prob', '0.5', '1', '--block-size', '1'], None),
    ],
)
def test_series_train_by_srun(run, tmp_path, command, options, arms):
    series = [sys.executable, ROOT / f'tools/{command}.py', 'toy.py', '--seeds', '0']
    slurm = ['--launcher', 'slurm', '--partition', 'local', '--gpus', '2']
    more = ['--work-dir', 'runs', '--cfg-options', GLOO]
    alone = {'CPUS_PER_TASK': '1'}  # two tasks of five do not fit, and wait for ever
    run(*series, *options, *slurm, *more, **alone)
    content = json.loads((tmp_path / f'runs/{command}.json').read_text())
    assert [run['state'] for run in content['runs']] == ['finished'] * 2
    assert arms is None or [run['arm'] for run in content['runs']] == arms
    # Eight images, two a process: two iterations of two processes.
    assert '[2/2]' in (tmp_path / 'runs/none_seed0/output.log').read_text()
    # Nothing is left to do.
    assert ' trains; ' not in run(*series, *options, *slurm, *more, **alone)
