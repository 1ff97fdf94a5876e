"""What the tests of commands share."""

import signal

import pytest

from dropblock_mm.reproduction.carrying import Carrier
from dropblock_mm.testing.small_models import write_images


@pytest.fixture(autouse=True)
def same_signals():
    """Undo what commands of many runs do to signals."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder of six images, with annotations of all kinds."""
    root = tmp_path_factory.mktemp('data')
    write_images(root / 'set')
    return root / 'set'


@pytest.fixture(scope='module')
def small_run(tmp_path_factory, data, runs_of):
    """A function that makes the folder of a library's run, of random weights."""
    make = runs_of(tmp_path_factory.mktemp('runs'), data)
    return lambda library, seed=0: str(make(library, seed))


@pytest.fixture
def interrupted_at(monkeypatch):
    """A function that has Ctrl-C pressed where the command starts its N-th training."""

    def press(number):
        start, begun = Carrier.start, []

        def started(carrier, command):
            begun.append(command)
            if len(begun) == number:
                raise KeyboardInterrupt
            return start(carrier, command)

        monkeypatch.setattr(Carrier, 'start', started)

    return press
