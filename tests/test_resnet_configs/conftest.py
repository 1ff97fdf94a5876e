"""The configs of Table 1, setting by setting, each with its source.

Paper: Ghiasi, Lin, Le 2018, section 4.1 and Table 1. TPU: the authors' code,
tensorflow/tpu, models/official/resnet: resnet_main.py (``main``), resnet_model.py
(``model``) and resnet_preprocessing.py (``preprocessing``). Ours: what neither says;
the README of configs/resnet has the reasons.
"""

import copy
import functools
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

from dropblock_mm.reproduction.tables import TABLE_1

pytest.importorskip('mmpretrain')
FOLDER = Path(__file__).resolve().parents[2] / 'configs'


@functools.cache
def parsed(name):
    return Config.fromfile(FOLDER / name)


@pytest.fixture(scope='session')
def read():
    """A function that reads the config of a row of Table 1."""

    def read_config(row):
        config = copy.deepcopy(parsed(TABLE_1.row(row).config))
        init_default_scope(config.default_scope)
        return config

    return read_config


@pytest.fixture
def plain(read):
    return read('none')


@pytest.fixture(scope='session')
def model(read):
    """The model of all rows, as training begins; not to be changed."""
    torch.manual_seed(0)
    config = read('none')
    model = MODELS.build(
        {**config.model, 'data_preprocessor': config.data_preprocessor}
    )
    model.init_weights()
    return model
