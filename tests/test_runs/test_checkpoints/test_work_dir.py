import errno
import fcntl
import subprocess
import sys
from types import SimpleNamespace

import pytest

from dropblock_mm.runs.checkpoints.work_dir import (
    LOCK,
    hold_work_dir,
    refuse_held_work_dir,
)

HOLD = """
import fcntl, sys
with open(sys.argv[1], 'a') as file:
    fcntl.lockf(file, fcntl.LOCK_EX)
    print('held', flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(tmp_path):
    """A folder that another process holds until it is killed, and the process."""
    command = [sys.executable, '-c', HOLD, str(tmp_path / LOCK)]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout.readline() == b'held\n'
        yield tmp_path, other
        other.kill()


def hold(folder, rank=0):
    with hold_work_dir(SimpleNamespace(work_dir=str(folder), rank=rank)):
        return 'held'


def test_a_second_training_is_refused_until_the_first_dies(held):
    folder, other = held
    with pytest.raises(ValueError, match=rf"--work-dir='{folder}': another training"):
        hold(folder)
    assert hold(folder, rank=1) == 'held'
    other.kill()
    other.wait()
    assert hold(folder) == 'held'


def test_one_that_is_held_is_refused_before_anything_is_written(held):
    folder, other = held
    with pytest.raises(ValueError, match=rf"--work-dir='{folder}': another training"):
        refuse_held_work_dir(str(folder))
    other.kill()
    other.wait()
    refuse_held_work_dir(str(folder))
    with hold_work_dir(SimpleNamespace(work_dir=str(folder), rank=0)):
        refuse_held_work_dir(str(folder))  # by this process itself


def test_a_folder_in_which_nothing_was_trained(tmp_path):
    refuse_held_work_dir(str(tmp_path / 'run'))
    refuse_held_work_dir(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_one_training_after_another(tmp_path):
    assert hold(tmp_path) == hold(tmp_path) == 'held'


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(fcntl, 'lockf', fail)
    assert hold(tmp_path) == 'held'
