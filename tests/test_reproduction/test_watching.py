"""How far all is, and how long it will take."""

from types import SimpleNamespace

import pytest

from dropblock_mm.reproduction.watching import Left, Watch, last_said, seconds_of

LINE = (
    '2026/01/01 00:00:00 - mmengine - INFO - Epoch(train) [{}][ 20/50]  lr: 1.0e-02  '
    'eta: {}  time: 0.2  data_time: 0.1  loss: 1.0\n'
)


@pytest.fixture
def carrier(tmp_path):
    """A function that makes what is at work, with an output."""

    def make(label, output='', start=0, evaluates=False):
        log = tmp_path / f'{label}.log'
        log.write_text(output)
        return SimpleNamespace(
            label=label, log=log, log_start=start, evaluates=evaluates
        )

    return make


def test_a_training_tells_how_long_it_takes(carrier):
    output = LINE.format(1, '0:20:00') + LINE.format(2, '1 day, 2:03:04')
    said = last_said(carrier('a', output))
    assert said == Left('epoch [2][20/50]', 93784.0)
    assert last_said(carrier('b', output, start=len(output))) is None
    assert last_said(carrier('c')) is None
    assert seconds_of('0:00:07') == 7


def test_an_evaluation_is_not_called_a_training_without_iterations(carrier):
    said, now = [], [0.0]
    watch = Watch(said.append, total=4, at_once=1, now=lambda: now[0])
    trained = LINE.format(2, '0:00:00')
    batches = trained.replace('train', 'test').replace('[2]', '').replace('00', '20')
    quiet = carrier('a', trained, start=len(trained), evaluates=True)
    for one in (quiet, carrier('b', batches, evaluates=True)):
        now[0] += 30.0
        watch.look([one])
        now[0] += 30.0
        watch.look([one])
    assert said[0] == f'a: evaluates; see {quiet.log}'
    assert said[-1].startswith('b: evaluates [20/50], 0:20:20 left; all 4 runs: ')


def test_all_that_is_left_is_estimated(carrier):
    said, now = [], [0.0]
    watch = Watch(said.append, total=4, at_once=2, now=lambda: now[0])
    a, b = carrier('a', LINE.format(1, '0:01:00')), carrier('b')
    watch.look([a, b])
    assert not said, 'nothing is said at once'
    now[0] = 30.0
    watch.look([a, b])
    # 60 s of a; two more of 30 + 60 s, two at once.
    assert said == [
        'a: epoch [1][20/50], 0:01:00 left; all 4 runs: 0:02:00 left',
        f'b: no iteration yet; see {b.log}',
    ]
    now[0] = 40.0
    watch.look([a, b])
    assert len(said) == 2
    watch.end(b, failed=False)
    assert watch.durations == [40.0]
    now[0] = 70.0
    watch.look([a])
    assert said[-1].endswith('all 4 runs: 0:01:10 left')


def test_nothing_known_is_nothing_said(carrier):
    watch = Watch(print, total=4, at_once=1)
    assert watch.left([None]) is None
    assert watch.left([]) is None
