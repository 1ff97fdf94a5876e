"""The list of commands whose help is timed, and what is done with the times."""

import subprocess

import pytest

from dropblock_mm.programs import PROGRAMS
from tools.dev import time_help


def test_every_command_is_timed_in_both_ways():
    scripts = [words[0] for words in time_help.commands() if words[0] != '-m']
    modules = [words[2] for words in time_help.commands() if len(words) == 3]
    assert modules == list(PROGRAMS)
    assert {known.script for known in PROGRAMS.values()} < set(scripts)
    assert 'tools/demo.py' in scripts


def test_the_longest_median_decides(monkeypatch, capsys):
    times = iter([0.1, 2.0, 0.3, 0.2, 0.2, 0.2])
    monkeypatch.setattr(time_help, 'commands', lambda: [('a.py',), ('b.py',)])
    monkeypatch.setattr(time_help, 'seconds_of', lambda words: next(times))
    assert time_help.main([]) == 0
    assert capsys.readouterr().out.splitlines() == [
        ' 0.30 s  python a.py --help',
        ' 0.20 s  python b.py --help',
        ' 0.30 s at most, of 1 s',
    ]
    monkeypatch.setattr(time_help, 'seconds_of', lambda words: 1.1)
    assert time_help.main(['--runs', '1']) == 1


def test_a_command_that_fails_is_no_time():
    assert 0 < time_help.seconds_of(['-m', 'dropblock_mm']) < 60
    with pytest.raises(subprocess.CalledProcessError):
        time_help.seconds_of(['-m', 'dropblock_mm.no_such'])
