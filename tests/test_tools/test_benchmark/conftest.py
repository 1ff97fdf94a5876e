"""The parts of tools/analysis_tools/benchmark_drop_block.py, and the script."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / 'tools' / 'analysis_tools'
SCRIPT = FOLDER / 'benchmark_drop_block.py'


@pytest.fixture
def part(monkeypatch):
    """Gives a part of the tool, e.g. part('timing'), as the script sees it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return lambda name: importlib.import_module(f'benchmark.{name}')


@pytest.fixture
def tool(monkeypatch):
    """The script as a module."""
    for name in ('KINETO_LOG_LEVEL', 'TORCH_CPP_LOG_LEVEL'):  # which it sets
        monkeypatch.setenv(name, os.environ.get(name, 'ERROR'))
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module('benchmark_drop_block')


@pytest.fixture
def run_script():
    """A function that runs the script in a process of its own, on one thread."""

    def run(*words):
        command = [sys.executable, str(SCRIPT), '--threads', '1', *map(str, words)]
        environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
        return subprocess.run(command, capture_output=True, text=True, env=environment)

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
