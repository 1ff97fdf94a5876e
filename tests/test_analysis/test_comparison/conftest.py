"""Results of runs that never took place."""

from pathlib import Path

import pytest

from dropblock_mm.reproduction.plan import Run
from dropblock_mm.reproduction.report import Result
from dropblock_mm.reproduction.state import Progress, State
from dropblock_mm.reproduction.tables import Row

SEEN = dict(images=1, pixels=2, iterations=8, resumed=False)


@pytest.fixture
def result(tmp_path):
    """A function that makes a result; without a value it is not evaluated."""

    def make(arm, seed, value=None, gap=None, seen=SEEN, metric='mIoU'):
        row = Row(arm, arm, 'a config')
        work_dir = tmp_path / f'{arm}_seed{seed}'
        run = Run(row, seed, work_dir, Path('c.py'), None)
        if value is None:
            return Result(run, Progress(State.NEW), [])
        on_training = {} if gap is None else {metric: value + gap}
        numbers = {metric: value}
        done = State.FINISHED
        return Result(run, Progress(done, None, numbers, None, on_training, seen), [])

    return make
