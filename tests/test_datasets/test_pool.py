"""Work in processes: in order, and ended at once by Ctrl-C."""

import os
import signal
import time
from pathlib import Path

import pytest

from dropblock_mm.datasets.pool import done_in_order


@pytest.mark.parametrize('workers', [0, 2])
def test_what_comes_of_jobs_keeps_their_order(workers):
    assert list(done_in_order(str, range(7), workers, 2)) == list('0123456')


def note(path):
    """Say who worked; a worker is sent what a terminal sends it."""
    os.kill(os.getpid(), signal.SIGINT)
    with Path(path).open('a') as file:
        file.write(f'{os.getpid()}\n')
    time.sleep(0.01)
    return os.getpid()


def test_an_interrupted_pool_leaves_what_it_has_not_begun(tmp_path, capfd):
    path, jobs = tmp_path / 'noted', 500
    done = done_in_order(note, [str(path)] * jobs, 1, 1)
    assert next(done) != os.getpid()
    with pytest.raises(KeyboardInterrupt):
        done.throw(KeyboardInterrupt)
    workers = path.read_text().split()
    assert len(set(workers)) == 1, 'the signal did not end it'
    assert len(workers) < jobs
    assert not capfd.readouterr().err
