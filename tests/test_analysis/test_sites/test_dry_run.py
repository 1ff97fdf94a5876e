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


def test_a_model_that_needs_numbers_is_built_without_its_weights():
    """Such as the rates that many transformers make by torch.linspace."""
    places = []

    def build():
        resnet = toy_resnet()
        places.append([parameter.is_meta for parameter in resnet.parameters()])
        resnet.rate = torch.linspace(0, 1, 3)[1].item()
        return resnet

    model = build_on_meta(build)
    assert model.rate == 0.5
    assert all(tensor.is_meta for tensor in (*model.parameters(), *model.buffers()))
    # Filling weights of a billion numbers takes minutes and their memory.
    assert [all(place) for place in places] == [True, True]
    assert not nn.Linear(1, 1).weight.is_meta, 'nothing is left behind'


def test_frozen_and_shared_parameters_stay_so_without_weights():
    def build():
        model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        model[0].weight.requires_grad_(False)
        model[1].weight = model[0].weight
        model.rate = torch.ones(1).item()
        return model

    first, second = build_on_meta(build)
    assert first.weight is second.weight
    assert not second.weight.requires_grad
    assert first.bias.requires_grad


def test_a_model_that_reads_its_weights_is_built_on_the_cpu():
    def build():
        unit = nn.Conv2d(3, 4, 1)
        unit.start = unit.weight.sum().item()
        return unit

    model = build_on_meta(build)
    assert isinstance(model.start, float)
    assert model.weight.is_meta


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
