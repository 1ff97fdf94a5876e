"""Backbone, pyramid and heads (sources: conftest.py)."""

import copy
import math

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn
from torch.nn import functional


def test_backbone(model, scratch):
    assert model.backbone.depth == 50  # Table 3
    for stage in ('layer1', 'layer2', 'layer3', 'layer4'):
        for block in getattr(model.backbone, stage):
            assert not block.norm3.weight.any()  # TPU architecture: init_zero=True
            assert (block.norm2.weight == 1).all()
    assert all(p.requires_grad for p in model.parameters())  # from scratch
    assert scratch.model.backbone.init_cfg is None


def test_every_norm(model):
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    # TPU architecture: _BATCH_NORM_DECAY = 0.997, _BATCH_NORM_EPSILON = 1e-4
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.003, 1e-4)}
    # ResNet-50; each level of the pyramid; 2 heads of 4 convolutions on 5 levels
    assert len(norms) == 53 + 5 + 2 * 4 * 5
    model.train()
    assert all(norm.training for norm in norms)  # TPU model: is_training_bn=True


def test_maps_at_640_pixels(scratch):
    """40x40 and 20x20 in layer3 and layer4: what blocks are to be compared with."""
    with torch.device('meta'):
        light = MODELS.build(scratch.model)
    maps = light.backbone(torch.empty(1, 3, 640, 640, device='meta'))
    assert [tuple(x.shape[2:]) for x in maps[2:]] == [(40, 40), (20, 20)]
    assert [x.shape[-1] for x in light.neck(maps)] == [80, 40, 20, 10, 5]  # P3-P7


def random_weights(module):
    """Weights of the scale of a trained net's, statistics included."""
    torch.manual_seed(2)
    weights = {}
    for name, x in module.state_dict().items():
        if name.endswith('running_var'):
            weights[name] = torch.rand_like(x) + 0.5
        elif x.is_floating_point():
            weights[name] = torch.randn_like(x) / (30 if x.dim() > 1 else 1)
    return weights


def convolve(x, weights, name, **kwargs):
    bias = weights.get(f'{name}.bias')
    return functional.conv2d(x, weights[f'{name}.weight'], bias, **kwargs)


def normalise(x, weights, name):
    keys = ('running_mean', 'running_var', 'weight', 'bias')
    values = [weights[f'{name}.bn.{key}'] for key in keys]
    return functional.batch_norm(x, *values, eps=1e-4)


@torch.no_grad()
def test_neck_is_the_recipes(model):
    """TPU architecture: resnet_fpn, in plain torch.

    One departure: there P6 and P7 take the level below before its normalisation.
    """
    neck = copy.deepcopy(model.neck).eval()
    weights = random_weights(neck)
    sizes, channels = (16, 8, 4, 2), (256, 512, 1024, 2048)
    inputs = [torch.randn(1, c, s, s) for c, s in zip(channels, sizes, strict=True)]

    lateral = [
        convolve(x, weights, f'lateral_convs.{i}.conv')
        for i, x in enumerate(inputs[1:])
    ]
    assert {f'lateral_convs.{i}.conv.bias' for i in range(3)} <= set(weights)
    for i in (1, 0):
        up = lateral[i + 1].repeat_interleave(2, 2).repeat_interleave(2, 3)  # nearest
        lateral[i] = lateral[i] + up
    expected = []
    for i in range(5):
        source = lateral[i] if i < 3 else expected[-1]
        source = source.relu() if i == 4 else source
        stride = 1 if i < 3 else 2
        x = convolve(source, weights, f'fpn_convs.{i}.conv', stride=stride, padding=1)
        expected.append(normalise(x, weights, f'fpn_convs.{i}'))

    neck.load_state_dict(weights, strict=False)
    torch.testing.assert_close(list(neck(inputs)), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_head_shares_convolutions_but_not_norms(model):
    """TPU architecture: class_net and box_net, in plain torch."""
    head = copy.deepcopy(model.bbox_head).eval()
    weights = random_weights(head)
    for name in weights:  # the state dict lists shared convolutions for every level
        kind, _, rest = name.partition('.')
        if '.conv.' in name:
            weights[name] = weights[f'{kind}.0{rest[1:]}']
    feats = [torch.randn(1, 256, s, s) for s in (5, 4, 3, 2, 1)]

    def tower(x, kind, level):
        for i in range(4):  # TPU: four convolutions of 256
            x = convolve(x, weights, f'{kind}_convs.0.{i}.conv', padding=1)
            x = normalise(x, weights, f'{kind}_convs.{level}.{i}').relu()
        return convolve(x, weights, f'retina_{kind}', padding=1)

    head.load_state_dict(weights, strict=False)
    scores, boxes = head(feats)
    for kind, outputs in (('cls', scores), ('reg', boxes)):
        expected = [tower(x, kind, level) for level, x in enumerate(feats)]
        torch.testing.assert_close(outputs, expected, rtol=1e-3, atol=1e-3)
    assert scores[0].shape[1] == 9 * 80


def test_head_starts_sure_of_background(model):
    head = model.bbox_head
    # TPU architecture: bias -log((1 - 0.01) / 0.01), kernels with deviation 0.01
    torch.testing.assert_close(
        head.retina_cls.bias, torch.full((720,), -math.log(99.0))
    )
    assert not head.retina_reg.bias.any()
    towers = [
        conv.conv for tower in (head.cls_convs, head.reg_convs) for conv in tower[0]
    ]
    for conv in [*towers, head.retina_cls, head.retina_reg]:
        assert float(conv.weight.detach().std()) == pytest.approx(0.01, rel=0.02)
    for level in range(1, 5):
        for i in range(4):
            assert head.cls_convs[level][i].conv is head.cls_convs[0][i].conv
            assert head.cls_convs[level][i].bn is not head.cls_convs[0][i].bn


def test_anchors(model):
    generator = model.bbox_head.prior_generator
    assert [stride[0] for stride in generator.strides] == [8, 16, 32, 64, 128]
    for stride, anchors in zip(generator.strides, generator.base_anchors, strict=True):
        size = anchors[:, 2:] - anchors[:, :2]
        # TPU model: anchor_scale=4, num_scales=3, ratios 1, 2 and 1/2
        scales = sorted((size.prod(1).sqrt() / stride[0]).tolist())
        expected = [4 * 2 ** (i / 3) for i in range(3) for _ in range(3)]
        assert scales == pytest.approx(expected, rel=1e-4)
        ratios = sorted((size[:, 1] / size[:, 0]).tolist())
        assert ratios == pytest.approx([0.5] * 3 + [1.0] * 3 + [2.0] * 3, rel=1e-4)


def test_preprocessing(model):
    preprocessor = model.data_preprocessor
    # TPU dataloader: ImageNet's mean and deviation of RGB in [0, 1]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(preprocessor.mean.flatten() / 255, mean)
    torch.testing.assert_close(preprocessor.std.flatten() / 255, std)
    assert preprocessor._channel_conversion
