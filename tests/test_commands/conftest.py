"""What the tests of commands share."""

import signal

import pytest


@pytest.fixture(autouse=True)
def same_signals():
    """Undo what commands of many runs do to signals."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
