"""CAM and Grad-CAM: exact on small maps, and as torchcam has them."""

import numpy as np
import pytest
import torch
from torch import nn

from dropblock_mm.analysis.activation_maps.cam import (
    class_activation_map,
    grad_cam,
    hires_cam,
    watching,
)
from dropblock_mm.errors import RefusedValueError


class Classifier(nn.Module):
    """Two convolutions, pooling, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU(), nn.Conv2d(6, 5, 3, 1, 1)
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(5, 4)

    def forward(self, x):
        maps = self.features(x).relu_()  # in place, right behind the layer
        return self.fc(self.pool(maps).flatten(1))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Classifier().eval()


def test_cam_is_the_weighted_sum():
    maps, weights = torch.randn(3, 4, 5), torch.randn(3)
    slow = np.zeros((4, 5))
    for k in range(3):
        for i in range(4):
            for j in range(5):
                slow[i, j] += float(weights[k] * maps[k, i, j])
    found = class_activation_map(maps, weights)
    assert found.numpy() == pytest.approx(np.maximum(slow, 0), abs=1e-5)


def test_grad_cam_behind_pooling_is_cam_up_to_a_factor(model):
    x = torch.randn(1, 3, 12, 10)
    with watching(model, model.features, with_gradient=True) as watched:
        score = model(x)[0, 2]
        found = grad_cam(watched.found('features'), score)
    maps = model.features(x).detach()[0]
    # The mean gradient of a pooled map: weight over size, where ReLU let it through.
    slow = (maps > 0).float().mean(dim=(1, 2)) * model.fc.weight[2] / maps[0].numel()
    assert torch.allclose(found, class_activation_map(maps, slow), atol=1e-7)


def test_the_model_is_as_it_was(model):
    model.fc.weight.requires_grad_(False)
    before = [p.requires_grad for p in model.parameters()]
    with watching(model, model.features, with_gradient=True):
        assert not any(p.requires_grad for p in model.parameters())
        out = model(torch.randn(1, 3, 8, 8))
    assert out.requires_grad
    assert [p.requires_grad for p in model.parameters()] == before
    assert not model.features._forward_hooks


def test_detached_scores_have_gradients_where_asked_and_nowhere_else(model):
    cut = torch.nn.Module()
    cut.features = model.features
    cut.forward = lambda x: model.features(x).detach().sum()
    x = torch.randn(1, 3, 8, 8)
    with watching(cut, model.features, True, through_detach=True) as watched:
        score = cut.forward(x)
        assert grad_cam(watched.found('features'), score).any()
    with watching(cut, model.features, True):
        assert not cut.forward(x).requires_grad
    assert torch.ones(1, requires_grad=True).detach().requires_grad is False


def test_of_several_maps_the_one_that_matters_counts():
    maps = [torch.rand(1, 2, 4, 4, requires_grad=True) for _ in range(3)]
    score = maps[1].sum() + 0.01 * maps[2].sum()
    found = grad_cam(maps, score)
    assert torch.equal(found, class_activation_map(maps[1][0].detach(), torch.ones(2)))


def test_hires_cam_weights_each_cell_by_its_own_gradient():
    maps = torch.randn(1, 3, 4, 5, requires_grad=True)
    weights = torch.randn(3, 4, 5)
    slow = np.zeros((4, 5))
    for k in range(3):
        for i in range(4):
            for j in range(5):
                slow[i, j] += (weights[k, i, j] * maps[0, k, i, j]).item()
    found = hires_cam([maps], (maps[0] * weights).sum())
    assert found.numpy() == pytest.approx(np.maximum(slow, 0), abs=1e-5)


def test_what_depends_on_a_corner_lights_up_there_alone():
    maps = torch.rand(1, 3, 6, 6, requires_grad=True)
    score = maps[0, :, :2, :2].sum()
    found = hires_cam([maps], score)
    assert torch.allclose(found[:2, :2], maps[0].sum(0)[:2, :2])
    assert found.count_nonzero() == 4
    assert grad_cam([maps], score).count_nonzero() == 36


def test_both_are_one_where_the_gradient_is_even(model):
    x = torch.randn(1, 3, 12, 10)
    # Without the ReLU all cells of a pooled map have one gradient.
    model.forward = lambda x: model.fc(model.pool(model.features(x)).flatten(1))
    with watching(model, model.features, with_gradient=True) as watched:
        found = []
        for method in (hires_cam, grad_cam):  # a way back is gone once
            score = model(x)[0, 2]
            found.append(method(watched.found('features'), score))
    assert torch.allclose(*found, atol=1e-7)


@pytest.mark.parametrize('method', [grad_cam, hires_cam])
def test_no_gradient_is_refused(method):
    maps = torch.rand(1, 2, 4, 4, requires_grad=True)
    for score in (torch.tensor(1.0), torch.tensor(1.0, requires_grad=True)):
        with pytest.raises(RefusedValueError, match='no gradient'):
            method([maps], score)


def test_a_gradient_that_overflowed_is_refused():
    maps = torch.full((1, 2, 4, 4), 1e38, requires_grad=True)
    with pytest.raises(RefusedValueError, match='is not finite'):
        hires_cam([maps], 0 * maps.exp().sum())


def test_a_part_that_has_maps_is_named_where_a_layer_has_none(model):
    model.trunk = nn.Sequential(model.features, nn.ReLU(), model.pool, nn.Flatten())
    model.forward = lambda x: model.fc(model.trunk(x))
    with watching(model, model.trunk, with_gradient=True) as watched:
        model(torch.randn(1, 3, 8, 8))
    with pytest.raises(RefusedValueError, match=r"such as 'trunk\.1'\."):
        watched.found('trunk')
    assert not any(m._forward_hooks for m in model.modules())


def test_a_layer_without_maps_is_refused(model):
    with watching(model, model.fc, with_gradient=True) as watched:
        model(torch.randn(1, 3, 8, 8))
    with pytest.raises(RefusedValueError, match="'fc' gave no map"):
        watched.found('fc')


class Attention(nn.Module):
    """Gives tokens, and has a module that gives a matrix of them all."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.drop = nn.Dropout()
        self.last = nn.Linear(8, 8)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        weights = (tokens @ tokens.transpose(1, 2)).softmax(-1)
        return self.last(self.drop(weights[:, None])[:, 0] @ tokens).mean(dim=1)


def test_a_matrix_of_an_attention_is_no_map():
    layer = Attention().eval()
    model = nn.Sequential(layer)
    with watching(model, layer, with_gradient=False) as watched:
        model(torch.randn(1, 3, 8, 12))
    assert watched.last == 'patches'


@pytest.mark.parametrize('method', ['CAM', 'GradCAM'])
def test_they_are_those_of_torchcam(model, method):
    pytest.importorskip('torchcam', reason='torchcam is not installed')
    from torchcam import methods

    x = torch.randn(1, 3, 16, 16, requires_grad=True)
    extra = {'fc_layer': 'fc'} if method == 'CAM' else {}
    # torchcam watches the map as it leaves the layer: without an in-place ReLU.
    model.forward = lambda x: model.fc(model.pool(model.features(x)).flatten(1))
    with getattr(methods, method)(model, 'features', **extra) as theirs:
        logits = model(x)
        (expected,) = theirs(1, logits, normalized=False)
    with watching(model, model.features, with_gradient=method == 'GradCAM') as watched:
        logits = model(x.detach())
        maps = watched.found('features')
        if method == 'CAM':
            found = class_activation_map(maps[0][0], model.fc.weight[1])
        else:
            found = grad_cam(maps, logits[0, 1])
    assert found.max() > 0
    # Theirs of CAM goes below 0.
    assert torch.allclose(found, expected[0].clamp_min(0), atol=1e-5)
