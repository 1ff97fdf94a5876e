"""The parts of the benchmark, and its command."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def part():
    """Gives a part of the benchmark, e.g. part('timing')."""
    return lambda name: importlib.import_module(f'tools.dev.benchmark.{name}')


@pytest.fixture
def tool(monkeypatch):
    """The script as a module."""
    for name in ('KINETO_LOG_LEVEL', 'TORCH_CPP_LOG_LEVEL'):  # which a run sets
        monkeypatch.setenv(name, os.environ.get(name, 'ERROR'))
    return importlib.import_module('tools.dev.benchmark.__main__')


@pytest.fixture
def run_script():
    """A function that runs the script in a process of its own, on one thread."""

    def run(*words):
        command = [
            sys.executable,
            '-m',
            'tools.dev.benchmark',
            '--threads',
            '1',
            *map(str, words),
        ]
        environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=ROOT
        )

    return run


@pytest.fixture
def op_rows(part):
    """A function that makes up rows of the op's table, one input for each ratio."""

    def make(dense, constant, units=3_000_000):
        spread, peers = part('report').Spread, part('peers')
        return [
            dict(
                case=f'case {number}',
                units=units,
                peer=peer.name,
                against=peers.OURS.name,
                ratio=spread(ratio, ratio / 1.1, ratio * 1.1, 9),
                verdict=part('op').verdict(ratio),
            )
            for peer, found in ((peers.DENSE, dense), (peers.TIMES_CONSTANT, constant))
            for number, ratio in enumerate(found)
        ]

    return make
