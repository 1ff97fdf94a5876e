"""Shapes of the maps, found without numbers."""

import pytest
import torch
from mmcv.cnn import build_conv_layer
from torch import nn

from dropblock_mm import DropBlock2d, inject_drop_block
from dropblock_mm.analysis.sites.dry_run import build_on_meta, watch_maps
from dropblock_mm.analysis.sites.part_runs import run_parts
from dropblock_mm.testing.toy import toy_classifier, toy_resnet


def test_maps_are_those_that_training_sees(monkeypatch):
    seen = {}
    forward = DropBlock2d.forward

    def spy(layer, x):
        seen[layer] = tuple(x.shape[1:])
        return forward(layer, x)

    model = toy_classifier(50).train()
    sites = inject_drop_block(model, [dict(module='backbone')], keep_prob=0.9)
    with watch_maps(sites) as maps:
        assert run_parts(model.backbone, torch.randn(2, 3, 64, 96)) == {}
    monkeypatch.setattr(DropBlock2d, 'forward', spy)
    model.backbone(torch.randn(2, 3, 64, 96))
    assert maps == [[seen[site.layer]] for site in sites]
    assert maps[0] == [(32, 16, 24)]


def test_nothing_is_dropped_or_left_behind():
    model = toy_classifier().train()
    sites = inject_drop_block(model, [dict(module='backbone')], keep_prob=0.5)
    hooks = [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()]
    with watch_maps(sites):
        run_parts(model.backbone, torch.randn(1, 3, 32, 32))
    assert not any(site.layer.seen_units for site in sites)
    assert all(site.layer.training for site in sites)
    assert hooks == [
        len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()
    ]


def test_a_model_that_needs_numbers_to_be_built_is_built_on_the_cpu():
    def build():
        resnet = toy_resnet()
        resnet.rate = torch.linspace(0, 1, 3)[1].item()
        return resnet

    model = build_on_meta(build)
    assert model.rate == 0.5
    assert all(tensor.is_meta for tensor in model.parameters())


@pytest.mark.parametrize('kind', ['DCN', 'DCNv2'])
def test_a_deformable_convolution_has_the_map_of_a_plain_one(kind):
    conv = build_on_meta(
        lambda: build_conv_layer(dict(type=kind), 4, 6, 3, stride=2, padding=1)
    )
    out = conv(torch.empty(2, 4, 20, 30, device='meta'))
    assert out.shape == (2, 6, 10, 15)
    assert out.is_meta


def test_all_of_a_model_is_on_the_meta_device():
    """Also what it makes by a constructor that knows of no default device."""

    def build():
        unit = nn.Conv2d(3, 4, 1)
        unit.weight = nn.Parameter(torch.Tensor(4, 3, 1, 1))
        return unit

    assert build_on_meta(build).weight.is_meta
