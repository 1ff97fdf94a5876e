"""Norms that are synchronized between GPUs, ``sync_bn='torch'`` in a config.

Torch synchronizes on accelerators only. So what runs here is their conversion,
injection into them, evaluation, and training in one process, where they compute what
a plain norm does; on several GPUs they were not run.
"""

import pytest
import torch
from mmengine.model import convert_sync_batchnorm
from torch import nn

from dropblock_mm import inject_drop_block
from dropblock_mm.testing.toy import toy_resnet

TARGETS = [dict(module='layer[34]')]


def resnet(convert):
    torch.manual_seed(0)
    model = toy_resnet(18)
    return convert_sync_batchnorm(model, 'torch') if convert else model


def places(sites):
    return [(site.module, site.place.name) for site in sites]


@pytest.mark.parametrize('depth', [18, 50])
def test_the_same_sites(depth):
    plain = inject_drop_block(toy_resnet(depth), TARGETS, keep_prob=0.5)
    model = convert_sync_batchnorm(toy_resnet(depth), 'torch')
    assert any(isinstance(module, nn.SyncBatchNorm) for module in model.modules())
    assert places(inject_drop_block(model, TARGETS, keep_prob=0.5)) == places(plain)


@pytest.mark.parametrize('training', [True, False])
def test_the_same_maps(training):
    images = torch.rand(2, 3, 64, 64)
    outputs = []
    for convert in (False, True):
        model = resnet(convert)
        inject_drop_block(model, TARGETS, keep_prob=0.5, block_size=3)
        model.train(training)  # mmdet's returns None
        torch.manual_seed(1)
        outputs.append(model(images)[-1])
    assert torch.equal(*outputs)
