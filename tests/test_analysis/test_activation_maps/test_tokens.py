"""Tokens of a transformer as maps, and the layer that is taken of one."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import nn

from dropblock_mm.analysis.activation_maps.explain import explain, usual_layer
from dropblock_mm.analysis.activation_maps.tokens import Grid, last_attended
from dropblock_mm.analysis.trained.images import Example
from dropblock_mm.analysis.trained.models import ModelFiles, TrainedModel
from dropblock_mm.analysis.trained.truth import Truth
from dropblock_mm.errors import RefusedValueError

HEIGHT, WIDTH = 32, 48  # a grid of 2 x 3, unlike that of the model's own size


def vit(out_type='cls_token'):
    torch.manual_seed(0)
    arch = {'embed_dims': 16, 'num_layers': 3, 'num_heads': 2}
    backbone = {
        'type': 'mmpretrain.VisionTransformer',
        'arch': arch | {'feedforward_channels': 32},
        'img_size': 64,
        'out_type': out_type,
    }
    head = {
        'type': 'mmpretrain.LinearClsHead',
        'num_classes': 5,
        'in_channels': 16,
    }
    cfg = {'type': 'mmpretrain.ImageClassifier', 'backbone': backbone, 'head': head}
    model = MODELS.build(cfg)
    return TrainedModel(
        ModelFiles('vit', 'vit.py', ''), Config(), model.eval(), 'mmpretrain', ()
    )


@pytest.fixture
def example():
    pixels = torch.randint(0, 256, (3, HEIGHT, WIDTH), dtype=torch.uint8)
    item = {'inputs': pixels, 'data_samples': DataSample()}
    return Example('photo.png', item, None)


@pytest.mark.parametrize('out_type', ['cls_token', 'avg_featmap'])
def test_a_vits_map_is_grad_cam_of_what_its_last_block_attends_to(example, out_type):
    trained = vit(out_type)
    assert usual_layer(trained, example) == 'backbone.layers.2.ln1'
    found = [explain(trained, example, Truth(label)) for label in range(5)]
    slow = [slowly(trained, example, label) for label in range(5)]
    assert np.any(slow)  # random weights may say nothing for a class
    assert np.allclose([one.activation for one in found], slow, atol=1e-9)
    assert not any(m._forward_hooks for m in trained.model.modules())


def slowly(trained, example, label):
    """Weight each channel of each patch by what it does to the logit."""
    kept = []

    def keep(module, inputs, output):
        output.retain_grad()
        kept.append(output)

    handle = trained.model.backbone.layers[2].ln1.register_forward_hook(keep)
    batch = trained.model.data_preprocessor({'inputs': [example.item['inputs']]})
    trained.model(batch['inputs'], mode='tensor')[0, label].backward()
    handle.remove()
    (tokens,) = kept
    values, gradients = tokens[0, 1:], tokens.grad[0, 1:]  # the class's is the first
    flat = (values * gradients.mean(dim=0)).sum(dim=1).clamp_min(0).detach()
    return flat.numpy().reshape(HEIGHT // 16, WIDTH // 16)


def test_other_layers_of_a_vit_have_maps_and_the_backbones_vector_has_none(example):
    trained = vit()
    found = explain(trained, example, Truth(3), 'backbone.layers.0')
    assert found.activation.shape == (2, 3)
    with pytest.raises(RefusedValueError, match=r'gave no map .* and no tokens of one'):
        explain(trained, example, Truth(3), 'backbone')


def test_a_vit_that_hands_on_maps_is_looked_at_behind_its_last_block(example):
    assert usual_layer(vit('featmap'), example) == 'backbone'
    assert last_attended(nn.Sequential(nn.Conv2d(1, 1, 1))) is None


@pytest.mark.parametrize('extra', [0, 1, 2])
def test_tokens_go_to_a_map_and_back(extra):
    grid = Grid()
    grid(None, None, (torch.zeros(1, 6, 4), (2, 3)))
    tokens = torch.randn(1, extra + 6, 4)
    assert grid.extra(tokens) == extra
    map_ = grid.as_map(tokens)
    assert map_.shape == (1, 4, 2, 3)
    assert torch.equal(map_[0, :, 1, 2], tokens[0, -1])
    assert torch.equal(grid.with_map(tokens, map_), tokens)
    doubled = grid.with_map(tokens, 2 * map_)
    assert torch.equal(doubled[:, :extra], tokens[:, :extra])
    assert torch.equal(doubled[:, extra:], 2 * tokens[:, extra:])


@pytest.mark.parametrize(
    'shape', [(1, 5, 4), (1, 9, 4), (2, 6, 4), (1, 6), (1, 6, 4, 1)]
)
def test_what_is_not_the_grids_is_no_map(shape):
    grid = Grid()
    assert grid.extra(torch.zeros(1, 6, 4)) is None  # none is known
    grid(None, None, (torch.zeros(1, 6, 4), (2, 3)))
    grid(None, None, (torch.zeros(1, 6, 4), (5, 3)))  # of something else
    grid(None, None, [torch.zeros(1, 6, 4)])
    assert grid.extra(torch.zeros(shape)) is None
