"""The models whose training steps are measured."""

import pytest
import torch
from torch import nn

from dropblock_mm import DropBlock2d, inject_drop_block


def test_other_numbers_of_sites_are_an_error(part):
    with pytest.raises(RuntimeError, match='found 35 sites of ours'):
        part('models').check_sites(35, 27)


def test_a_product_takes_the_place_of_what_drops_in_a_copy(part):
    models, x = part('models'), torch.ones(2, 3, 8, 8)
    unit = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU())
    model = nn.Sequential(unit)
    inject_drop_block(model, [dict(module='0')], block_size=3, keep_prob=0.5)
    step = models.TrainingStep(model, {}, 'cpu')
    multiplying = models.multiplying(step, 'cpu')
    (layer,) = [m for m in multiplying.model.modules() if isinstance(m, DropBlock2d)]
    assert torch.equal(layer(x), x * models.FACTOR)
    assert layer.kept_units == 0
    (layer,) = [m for m in model.modules() if isinstance(m, DropBlock2d)]
    layer(x)
    assert layer.kept_units > 0
