"""The comparison of starts, whose runs themselves are too long for a test."""

import pytest

from tools.dev import time_start


def test_ratios_are_of_the_pairs_that_ran_one_after_the_other():
    earlier, now = [(10.0, 4.0), (20.0, 4.0), (30.0, 4.0)], [(5.0, 1.0)] * 3
    wall, processor = time_start.compared(earlier, now)
    assert wall == 'wall time: 20.0 s earlier, 5.0 s now, 0.25 of it (median of pairs)'
    assert '0.25 of it' in processor


def test_a_clone_that_does_not_start_says_why(tmp_path, monkeypatch):
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/train.py').write_text("raise SystemExit('no such thing')\n")
    with pytest.raises(RuntimeError, match='no such thing'):
        time_start.time_once(tmp_path, 'configs/x.py', tmp_path)


def test_the_clones_take_turns_and_the_first_turn_does_not_count(tmp_path, monkeypatch):
    asked = []

    def time_once(clone, config, folder):
        asked.append(clone)
        return (0.5, 0.5) if clone == time_start.ROOT else (1.0, 1.0)

    monkeypatch.setattr(time_start, 'time_once', time_once)
    assert time_start.main([str(tmp_path), '--runs', '2']) == 0
    assert asked == [tmp_path, time_start.ROOT] * 3
    monkeypatch.setattr(time_start, 'LIMIT', 0.4)
    assert time_start.main([str(tmp_path), '--runs', '1']) == 1
