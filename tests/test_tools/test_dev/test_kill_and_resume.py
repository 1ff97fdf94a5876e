"""Trainings that are killed at random moments go on as if nothing had happened."""

import json
import os

import pytest
import torch

from dropblock_mm.testing.seen_images import SEEN_CONFIG
from tools.dev import kill_and_resume
from tools.dev.kill_and_resume import Left, Row, Training, compare, look, trials


def check(folder, times):
    done = list(trials(folder, times, seed=0))
    assert [left.faults for *_, left in done] == [()] * times
    # Something had been done, and something was left to do.
    assert {left.saved for *_, left in done} >= {0, 4, 8}


def test_twenty_random_moments_of_both_loops(tmp_path):
    check(tmp_path, 20)


@pytest.mark.nightly
def test_two_hundred_random_moments_of_both_loops(tmp_path):
    check(tmp_path, 200)


@pytest.fixture
def training(tmp_path):
    """A function that makes the folder of a training that logged so many iterations."""

    def make(name, logged, saved, named=None, value=0.5):
        made = Training(tmp_path / name, SEEN_CONFIG, 4)
        log = made.work_dir / '20260101_000000/vis_data/scalars.json'
        log.parent.mkdir(parents=True)
        values = dict(loss=1.0, keep_prob=value, lr=0.1, seen=9.0)
        rows = [values | dict(iter=n, step=n) for n in range(1, logged + 1)]
        log.write_text(''.join(json.dumps(row) + '\n' for row in rows))
        for number in saved:
            content = {'meta': {'iter': number}}
            torch.save(content, made.work_dir / f'epoch_{number // 4}.pth')
        if named:
            (made.work_dir / 'last_checkpoint').write_text(f'/there/{named}')
        return made

    return make


@pytest.mark.parametrize(
    ('logged', 'saved', 'named', 'left'),
    [
        (0, [], None, Left(0, 0, False, ())),
        (4, [], None, Left(0, 4, False, ())),
        (4, [4], None, Left(4, 4, True, ())),
        (6, [4], 'epoch_1.pth', Left(4, 6, False, ())),
        (8, [4, 8], 'epoch_1.pth', Left(8, 8, True, ())),
        (5, [], None, Left(0, 5, False, ('iteration 4 was saved, and 0 is left',))),
        (9, [4], 'epoch_1.pth', ('iteration 8 was saved, and 4 is left',)),
        (9, [8], 'epoch_1.pth', ("'epoch_1.pth' is named, and ['epoch_2.pth'] are ",)),
    ],
)
def test_what_a_kill_leaves(training, logged, saved, named, left):
    found = look(training('killed', logged, saved, named))
    if isinstance(left, Left):
        assert found == left
    else:
        assert found.faults[0].startswith(left[0])


def test_a_damaged_checkpoint_is_a_fault(training):
    killed = training('killed', 5, [4])
    os.truncate(killed.work_dir / 'epoch_1.pth', 100)
    (fault,) = look(killed).faults
    assert fault.startswith('a checkpoint is damaged')


def test_what_differs_is_a_fault(training):
    whole = training('whole', 12, [12], 'epoch_3.pth')
    assert compare(whole, Left(0, 0, False, ()), 0, whole) == []
    other = training('other', 12, [12], 'epoch_3.pth', value=0.6)
    faults = compare(other, Left(0, 0, False, ()), 0, whole)
    assert faults[0].endswith(
        f'of {Row(1, (0.6, 0.1, 9.0))}, {Row(1, (0.5, 0.1, 9.0))} if left alone'
    )
    assert len(faults) == 12
    # It began anew, though four iterations were saved.
    (fault,) = compare(whole, Left(4, 6, False, ()), 0, whole)
    assert fault.startswith('resumed after 4, it did the iterations [1, 2')
    lost = training('lost', 12, [8], 'epoch_2.pth')
    assert len(compare(lost, Left(0, 0, False, ()), 0, whole)) == 2


@pytest.mark.parametrize('faults', [(), ('it was lost',)])
def test_the_command_counts(monkeypatch, capsys, faults):
    def two(folder, times, seed):
        assert (times, seed) == (2, 3)
        yield 'epochs', 0.1, Left(0, 2, False, ())
        yield 'iterations', 0.7, Left(8, 9, True, faults)

    monkeypatch.setattr(kill_and_resume, 'trials', two)
    assert kill_and_resume.main(['--times', '2', '--seed', '3']) == len(faults)
    said = capsys.readouterr()
    assert said.out.endswith(f'\n{2 - len(faults)} of 2\n')
    assert said.err == ''.join(f'iterations, at 0.7000: {f}\n' for f in faults)
