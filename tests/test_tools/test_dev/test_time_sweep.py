"""What a sweep adds to a point: the difference of two sweeps."""

import subprocess
import sys

import pytest

from tools.dev import time_sweep


@pytest.mark.parametrize(('longer', 'status'), [(28.0, 0), (34.0, 1)])
def test_a_point_is_the_difference_of_two_sweeps(monkeypatch, capsys, longer, status):
    taken = {2: 14.0, 8: longer}
    monkeypatch.setattr(time_sweep, 'sweep', taken.__getitem__)
    monkeypatch.setattr(time_sweep.ctypes, 'CDLL', lambda _: FakeLibrary())
    assert time_sweep.main([]) == status
    each = (longer - 14) / 6
    assert (
        f'a point: {each:.2f} s, and {14 - 2 * each:.2f} s' in capsys.readouterr().out
    )


class FakeLibrary:
    def prctl(self, *words):
        assert words[:2] == (36, 1)


def test_the_sweep_is_of_as_many_points_and_all_time_is_counted(monkeypatch):
    asked = []

    def run(command, **how):
        asked.append(command)
        burn = 'sum(range(10**7))'
        return original([sys.executable, '-c', burn], check=True)

    original = subprocess.run
    monkeypatch.setattr(time_sweep.subprocess, 'run', run)
    # Those of other tests may stay.
    monkeypatch.setattr(time_sweep, 'wait_for_all', lambda: asked.append('waited'))
    assert time_sweep.sweep(3) > 0.01
    (_, tool, config, *words), waited = asked
    assert waited == 'waited'
    assert (tool.name, config) == ('sweep.py', 'toy.py')
    assert words[:4] == ['--keep-prob', '1', '0.99', '0.98']
