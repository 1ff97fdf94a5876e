"""What a scheduler sends before it kills ends a training as Ctrl-C does."""

import multiprocessing
import os
import signal
import time

import pytest

from dropblock_mm.runs.stopping import StoppedError, stopped_by_schedulers
from dropblock_mm.testing.toy import ToyImages

SENT = [signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def default_handlers():
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SENT}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(number):
    """It is heard before this returns."""
    os.kill(os.getpid(), number)
    signal.pause()


@pytest.mark.parametrize('number', SENT)
def test_both_are_heard_inside_alone(number):
    with pytest.raises(StoppedError) as stopped, stopped_by_schedulers():
        send(number)
    assert stopped.value.status == 128 + number
    assert isinstance(stopped.value, KeyboardInterrupt)
    assert signal.getsignal(number) is signal.SIG_DFL


def wait_for_a_signal(ready):
    ready.set()
    time.sleep(60)


@pytest.mark.parametrize('number', SENT)
def test_what_is_forked_ends_as_others_do(number):
    """A worker of a pool that raised might never give back a lock."""
    forking = multiprocessing.get_context('fork')
    ready = forking.Event()
    with stopped_by_schedulers():
        worker = forking.Process(target=wait_for_a_signal, args=(ready,))
        worker.start()
        assert ready.wait(30)
        os.kill(worker.pid, number)
        worker.join(30)
        assert worker.exitcode == -number
        with pytest.raises(StoppedError):
            send(number)  # still heard here


def test_what_nohup_ignores_is_ignored():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stopped_by_schedulers():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@pytest.mark.parametrize(
    ('after', 'words'), [(2, 'stopped before the first'), (10, '--resume goes on in')]
)
def test_a_training(load_tool, toy_config, tmp_path, monkeypatch, capsys, after, words):
    """In the first epoch, or in the second, when one has been saved."""
    left, images = [after], ToyImages.__getitem__

    def stop(self, index):
        if not left[0]:
            os.kill(os.getpid(), signal.SIGTERM)
        left[0] -= 1
        return images(self, index)

    monkeypatch.setattr(ToyImages, '__getitem__', stop)
    with pytest.raises(SystemExit) as ended:
        load_tool('train').main([toy_config, '--work-dir', str(tmp_path / 'run')])
    assert ended.value.code == 143
    said = capsys.readouterr().err
    assert words in said
    assert 'Traceback' not in said
