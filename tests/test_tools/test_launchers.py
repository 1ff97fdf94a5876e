import os
import subprocess

import pytest


@pytest.fixture
def launch(repo_root, tmp_path):
    """A function that runs a launcher with stand-ins that print their arguments."""
    for name in ('python', 'srun'):
        program = tmp_path / name
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"')
        program.chmod(0o755)

    def run(script, *argv):
        environment = {**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'}
        done = subprocess.run(
            [repo_root / f'tools/{script}', *argv],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


def test_dist_train(launch, repo_root):
    status, words, _ = launch('dist_train.sh', 'c.py', '4', '--work-dir', 'a b')
    assert status == 0
    assert '--nproc_per_node=4' in words
    assert '--master_port=29500' in words
    script = words.index(f'{repo_root}/tools/train.py')
    assert words[script + 1 :] == ['c.py', '--launcher', 'pytorch', '--work-dir', 'a b']


def test_dist_train_that_starts_again(launch, monkeypatch):
    """Torch's static rendezvous would hand the ranks addresses of dead ones."""
    monkeypatch.setenv('MAX_RESTARTS', '3')
    status, words, _ = launch('dist_train.sh', 'c.py', '4', '--resume')
    assert status == 0
    assert '--max-restarts=3' in words
    assert '--rdzv-backend=c10d' in words
    assert not any(word.startswith('--master') for word in words)


def test_dist_test(launch, repo_root):
    status, words, _ = launch('dist_test.sh', 'c.py', 'a.pth', '2', '--tta')
    assert status == 0
    assert '--nproc_per_node=2' in words
    script = words.index(f'{repo_root}/tools/test.py')
    assert words[script + 1 :] == ['c.py', 'a.pth', '--launcher', 'pytorch', '--tta']


def test_slurm_train(launch, repo_root):
    status, words, _ = launch('slurm_train.sh', 'gpu', 'job', 'c.py', 'dir', '--amp')
    assert status == 0
    assert words[:2] == ['-p', 'gpu']
    script = words.index(f'{repo_root}/tools/train.py')
    assert words[script + 1 :] == [
        'c.py',
        '--work-dir=dir',
        '--launcher=slurm',
        '--amp',
    ]


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_usage(launch, script):
    status, _, said = launch(script, 'c.py')
    assert status == 2
    assert said.startswith('usage: ')


@pytest.mark.parametrize(
    ('script', 'program'),
    [
        ('dist_train.sh c.py 2', 'python'),
        ('dist_test.sh c.py a.pth 2', 'python'),
        ('slurm_train.sh gpu job c.py dir', 'srun'),
    ],
)
def test_signals_reach_the_launcher(repo_root, tmp_path, script, program):
    """It takes the shell's place: a shell that ends leaves it at work."""
    stand_in = tmp_path / program
    stand_in.write_text('#!/bin/sh\necho $$')
    stand_in.chmod(0o755)
    name, *argv = script.split()
    process = subprocess.Popen(
        [repo_root / f'tools/{name}', *argv],
        env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'},
        stdout=subprocess.PIPE,
        text=True,
    )
    said, _ = process.communicate()
    assert int(said) == process.pid
