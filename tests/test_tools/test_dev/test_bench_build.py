"""How the processor time of builds is counted and kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.dev import bench_build
from tools.dev.environment.machine import SetUpError

ROOT = Path(__file__).resolve().parents[3]
BURN = 'import time\nwhile time.process_time() < {}: pass'

# In a process of its own: it counts, and waits for, all children of its process.
ORPHANED = f"""
import subprocess, sys, json
from pathlib import Path
from tools.dev import bench_build
bench_build.adopt_orphans()
parent = 'import subprocess, sys; subprocess.Popen([sys.executable, "-c", sys.argv[1]])'
with bench_build.counted(Path(sys.argv[1])):
    subprocess.run([sys.executable, '-c', parent, {BURN.format(0.5)!r}], check=True)
"""


def test_children_of_a_stopped_parent_are_counted(tmp_path):
    command = [sys.executable, '-c', ORPHANED, str(tmp_path / 'seconds.json')]
    subprocess.run(command, check=True, cwd=ROOT)
    (seconds,) = json.loads((tmp_path / 'seconds.json').read_text())
    assert seconds > 0.5


class Builds:
    """Stands in for the build: puts down a wheel, unless it is told to fail."""

    def __init__(self, fails):
        self.fails = fails

    def __call__(self, steps, requirement, work, way):
        subprocess.run([sys.executable, '-c', BURN.format(0.1)], check=True)
        if self.fails:
            raise KeyboardInterrupt
        return (work / f'{way}.whl').write_text('')


@pytest.fixture
def measure(monkeypatch, tmp_path):
    """Gives one measurement, by a build that ends or fails."""
    monkeypatch.setattr(bench_build, 'prepared_source', lambda *args: None)
    monkeypatch.setattr(bench_build, 'wait_for_orphans', lambda: None)

    def run(fails=False):
        monkeypatch.setattr(bench_build, 'build_wheel', Builds(fails))
        return bench_build.measured(None, 'mmcv==2.1.0', tmp_path, 'joined')

    return run


def test_what_an_interrupted_build_took_is_added(measure, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        measure(fails=True)
    total = measure()
    attempts = json.loads((tmp_path / 'joined' / 'seconds.json').read_text())
    assert len(attempts) == 2
    assert min(attempts) >= 0.1
    assert total == sum(attempts)


def test_a_finished_build_is_not_done_again(measure):
    first = measure()
    assert measure(fails=True) == first


@pytest.fixture
def compiler(monkeypatch, tmp_path):
    """Gives the compiler that torch would be told of, ``echo`` in truth."""
    monkeypatch.setenv('CXX', 'echo')
    monkeypatch.delenv(bench_build.UNTIL, raising=False)

    def limited(minutes):
        bench_build.limit_compiler(tmp_path / 'compiler', minutes)
        return [os.environ['CXX'], '-c', 'a b.cpp']

    yield limited
    os.environ.pop(bench_build.UNTIL, None)


@pytest.mark.parametrize('minutes', [None, 10])
def test_the_compiler_gets_what_it_would_get_without_a_limit(compiler, minutes):
    command = compiler(minutes)
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout == '-c a b.cpp\n'
    assert not bench_build.is_up()


def test_nothing_is_compiled_once_the_time_is_up(compiler):
    command = compiler(0)
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == bench_build.STOPPED
    assert not said.stdout
    assert bench_build.is_up()


def test_a_part_that_is_over_says_to_run_it_again(
    monkeypatch, tmp_path, compiler, capsys
):
    def refused(*args):
        raise SetUpError('the compiler said no')

    monkeypatch.setattr(bench_build, 'adopt_orphans', lambda: None)
    monkeypatch.setattr(bench_build.signal, 'signal', lambda *args: None)
    monkeypatch.setattr(bench_build, 'build_kind', refused)
    folder = ['--folder', str(tmp_path)]
    monkeypatch.setattr(sys, 'argv', ['bench_build', *folder, '--minutes', '0'])
    assert bench_build.main() == bench_build.STOPPED
    assert 'run it again' in capsys.readouterr().out
    monkeypatch.delenv(bench_build.UNTIL)
    monkeypatch.setattr(sys, 'argv', ['bench_build', *folder])
    assert bench_build.main() == 1
    assert 'the compiler said no' in capsys.readouterr().err


def test_the_comparison_is_of_processor_times():
    table = bench_build.comparison({'plain': 1000.0, 'joined': 100.0})
    assert '1000 s' in table
    assert '100 s, 0.10 of it' in table


def test_an_unfinished_plain_build_bounds_the_ratio():
    table = bench_build.bound({'plain': 600.0, 'joined': 120.0})
    assert '600 s so far' in table
    assert '120 s, so at most 0.20 of it' in table


def test_nothing_is_said_of_a_build_that_did_not_begin():
    assert 'at most' not in bench_build.bound({'plain': 0.0, 'joined': 120.0})
