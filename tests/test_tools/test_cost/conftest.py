"""The parts of tools/analysis_tools/estimate_cost.py, in a folder without data."""

import importlib
from pathlib import Path

import pytest
from mmengine.config import Config

from dropblock_mm.config_files import resolve_config

FOLDER = Path(__file__).resolve().parents[3] / 'tools' / 'analysis_tools'


@pytest.fixture
def part(monkeypatch):
    """Gives a part of the tool, e.g. part('step'), as the script sees it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return lambda name: importlib.import_module(f'cost.{name}')


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """A folder without data: counting those of a data/coco would take a while."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load():
    """A function that reads a config, shipped here or by a library."""
    return lambda name: Config.fromfile(resolve_config(name))
