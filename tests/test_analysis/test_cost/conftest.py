"""The parts of a cost estimate, in a folder without data."""

import importlib

import pytest
from mmengine.config import Config

from dropblock_mm.config_files import resolve_config


@pytest.fixture
def part():
    """Gives a part of the tool, e.g. part('step')."""
    return lambda name: importlib.import_module(f'dropblock_mm.analysis.cost.{name}')


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """A folder without data: counting those of a data/coco would take a while."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load():
    """A function that reads a config, shipped here or by a library."""
    return lambda name: Config.fromfile(resolve_config(name))
