"""Models that several tests of injection share."""

import pytest
from torch import nn


def initialize_trident(model):
    """Give its own convolutions weights: they begin with whatever memory holds.

    ``init_weights`` leaves them so.
    """
    for module in model.modules():
        if type(module).__name__ == 'TridentConv':
            nn.init.kaiming_normal_(module.weight)


@pytest.fixture
def trident():
    """A narrow TridentResNet: layer3 has three branches, with lists as inputs."""
    from mmdet.models.backbones import TridentResNet

    model = TridentResNet(
        depth=50,
        num_branch=3,
        test_branch_idx=1,
        trident_dilations=(1, 2, 3),
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(2,),
        base_channels=8,
        stem_channels=8,
    )
    model.init_weights()
    initialize_trident(model)
    return model
