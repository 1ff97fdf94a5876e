"""Commands that are forked."""

import os
import signal
import subprocess
import sys
import time

import pytest

from dropblock_mm.testing.processes import hold


@pytest.fixture
def run(part, tmp_path):
    """A function that forks a command in a locked folder: its status and output."""
    forks = part('warm').Forks(None)

    def start(command, environment=None):
        log = tmp_path / 'output.log'
        with part('processes').locked(tmp_path / 'folder') as lock:
            running = forks.start(command, log, environment or dict(os.environ), lock)
        while running.poll() is None:
            time.sleep(0.05)
        return running.poll(), log.read_text()

    return start


def test_a_command_of_ours_is_told_from_others(part):
    program_of = part('warm').program_of
    root = part('warm').ROOT
    script = str(root / 'tools/train.py')
    assert program_of([sys.executable, script, 'c.py']) == ('train', ['c.py'])
    module = [sys.executable, '-m', 'dropblock_mm', 'test', 'c.py']
    assert program_of(module) == ('test', ['c.py'])
    for other in (
        [sys.executable, '-c', 'pass'],
        [sys.executable, '-m', 'dropblock_mm', 'unknown'],
        ['srun', sys.executable, script],
        [sys.executable, '-m', 'torch.distributed.run', script],
    ):
        assert program_of(other) is None
    assert (
        part('warm').Forks(None).start([sys.executable, '-c', ''], None, {}, 0) is None
    )


def test_it_ends_as_it_would_by_itself(run):
    command = [sys.executable, '-m', 'dropblock_mm', 'train']
    status, said = run([*command, 'no_such_config.py'])
    assert status == 2
    assert said.startswith('error: ')
    assert 'no_such_config.py' in said
    status, said = run([*command, '--help'])
    assert status == 0
    assert 'usage: train.py' in said


def test_it_holds_the_lock_and_can_be_stopped(part, tmp_path, refusal):
    warm, locked = part('warm'), part('processes').locked
    with locked(tmp_path / 'folder') as lock:
        process = warm.multiprocessing.get_context('forkserver').Process(
            target=hold, args=(warm._Lock(lock), tmp_path / 'ready')
        )
        process.start()
        while not (tmp_path / 'ready').exists():
            assert process.exitcode is None
            time.sleep(0.05)
    with pytest.raises(refusal, match='is at work in'), locked(tmp_path / 'folder'):
        pass
    running = warm.Warm(process)
    running.stop()
    assert running.poll() == 9, 'Ctrl-C reached it'
    with locked(tmp_path / 'folder'):
        pass


def test_an_interrupt_among_the_imports_is_left_to_who_started_them(tmp_path):
    (tmp_path / 'slow_to_import.py').write_text(
        'import time; print("imports", flush=True); time.sleep(1)'
    )
    code = (
        'from dropblock_mm.reproduction import warm_imports\n'
        'import signal\n'
        'print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n'
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    names = {'DROPBLOCK_MM_WARM_IMPORTS': 'slow_to_import', 'PYTHONPATH': path}
    with subprocess.Popen(
        [sys.executable, '-c', code],
        env={**os.environ, **names},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout.readline() == 'imports\n'
        process.send_signal(signal.SIGINT)
        # What is forked later is to be stopped by Ctrl-C again.
        assert process.stdout.read() == 'True\n'
    assert process.returncode == 0
