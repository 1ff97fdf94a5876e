"""The configs of Table 3, setting by setting, each with its source.

Paper: Ghiasi, Lin, Le 2018, section 4.3 and Table 3. TPU: the authors' code,
tensorflow/tpu, models/official/retinanet: retinanet_model.py (``model``),
retinanet_architecture.py (``architecture``), dataloader.py (``dataloader``) and
anchors.py (``anchors``).
"""

import copy
import functools
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

pytest.importorskip('mmdet')
FOLDER = Path(__file__).resolve().parents[2] / 'configs/retinanet'


@functools.cache
def parsed(name):
    return Config.fromfile(FOLDER / name)


@pytest.fixture(scope='session')
def read():
    """A function that reads a config of configs/retinanet."""

    def read_config(name):
        config = copy.deepcopy(parsed(name))
        init_default_scope(config.default_scope)
        return config

    return read_config


@pytest.fixture
def scratch(read):
    return read('retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py')


@pytest.fixture
def tuned(read):
    return read('retinanet_r50_fpn_sepbn_8xb8-28e_coco.py')


@pytest.fixture(scope='session')
def model(read):
    """The model of all rows from scratch, as training begins; not to be changed."""
    torch.manual_seed(0)
    model = MODELS.build(
        read('retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py').model
    )
    model.init_weights()
    return model
