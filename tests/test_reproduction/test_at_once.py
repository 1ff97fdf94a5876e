"""Several runs at work at once."""

import pytest


class Command:
    """Ends after some looks, with a status."""

    def __init__(self, log, name, looks, status=0):
        self.log, self.name, self.looks, self.status = log, name, looks, status
        log.append(f'{name} starts')

    def poll(self):
        self.looks -= 1
        if self.looks < 0:
            self.log.append(f'{self.name} ends')
            return self.status
        return None

    def stop(self):
        self.log.append(f'{self.name} is stopped')


class Carrier:
    """Runs commands that are told by how many looks they take."""

    def __init__(self, log, name, *looks, status=0):
        self.log, self.name, self.looks, self.status = log, name, looks, status
        self.gpu = None

    def steps(self):
        for looks in self.looks:
            status = yield Command(self.log, self.name, looks, self.status)
            if status:
                return f'status {status}'
        return ''


@pytest.fixture
def at_once(part, monkeypatch):
    module = part('at_once')
    monkeypatch.setattr(module, 'PAUSE', 0)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '3,5')
    return module


def test_one_after_the_other(at_once):
    log = []
    carriers = [Carrier(log, 'a', 1, 2), Carrier(log, 'b', 0)]
    done = [(c.name, why) for c, why in at_once.carry_all(carriers, 1)]
    assert done == [('a', ''), ('b', '')]
    assert log == [f'{n} {w}' for n in 'aab' for w in ('starts', 'ends')]
    assert carriers[0].gpu is None


def test_a_place_that_is_free_is_taken_with_its_gpu(at_once):
    log = []
    carriers = [Carrier(log, 'a', 5), Carrier(log, 'b', 1), Carrier(log, 'c', 1)]
    ended = [c.name for c, _ in at_once.carry_all(carriers, 2)]
    assert ended == ['b', 'c', 'a']
    assert [c.gpu for c in carriers] == ['3', '5', '5']
    assert log.index('c starts') > log.index('b ends')


def test_what_has_nothing_to_do_takes_no_place(at_once):
    log = []
    carriers = [Carrier(log, 'a'), Carrier(log, 'b', 0), Carrier(log, 'c')]
    assert [c.name for c, _ in at_once.carry_all(carriers, 1)] == ['a', 'b', 'c']


def test_a_failure_holds_up_no_other(at_once):
    log = []
    carriers = [Carrier(log, 'a', 0, 0, status=7), Carrier(log, 'b', 0)]
    done = {c.name: why for c, why in at_once.carry_all(carriers, 2)}
    assert done == {'a': 'status 7', 'b': ''}


def test_an_interrupt_ends_all_that_is_at_work(at_once):
    log, closed = [], []

    class Noting(Carrier):
        def steps(self):
            try:
                return (yield from super().steps())
            finally:
                closed.append(self.name)

    def interrupt(active):
        raise KeyboardInterrupt

    carriers = [Noting(log, name, 9) for name in 'abc']
    with pytest.raises(KeyboardInterrupt):
        list(at_once.carry_all(carriers, 2, interrupt))
    assert {'a is stopped', 'b is stopped'} <= set(log)
    assert sorted(closed) == ['a', 'b']
    assert 'c starts' not in log
