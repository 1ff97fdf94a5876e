"""Going back from the rows that count, held against going back from all."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from dropblock_mm.analysis.activation_maps.by_rows import (
    BY_ROWS,
    aligned_by_rows,
    conv2d,
    linear,
)
from dropblock_mm.analysis.activation_maps.cam import hires_cam, watching


def gradients(layer, x, grad, *args):
    """The output of a layer, and the gradient of its input."""
    leaf = x.clone().requires_grad_()
    out = layer(leaf, *args)
    return out.detach(), torch.autograd.grad(out, leaf, grad)[0]


def only(rows, shape):
    grad = torch.zeros(shape)
    grad[rows] = torch.randn(len(rows), *shape[1:])
    return grad


@given(rows=st.lists(st.integers(0, 5), max_size=4, unique=True), bias=st.booleans())
@settings(deadline=None, max_examples=20)
def test_linear_is_torchs(rows, bias):
    x, weight = torch.randn(6, 4), torch.randn(3, 4)
    given_bias = torch.randn(3) if bias else None
    grad = only(rows, (6, 3))
    found = gradients(linear, x, grad, weight, given_bias)
    slow = gradients(functional.linear, x, grad, weight, given_bias)
    assert torch.equal(found[0], slow[0])
    assert torch.allclose(found[1], slow[1], atol=1e-6)


@given(
    rows=st.lists(st.integers(0, 3), max_size=4, unique=True),
    stride=st.sampled_from([1, 2, (1, 2)]),
    padding=st.sampled_from([0, 1]),
    groups=st.sampled_from([1, 2]),
)
@settings(deadline=None, max_examples=20)
def test_convolution_is_torchs(rows, stride, padding, groups):
    x, weight = torch.randn(4, 4, 5, 6), torch.randn(6, 4 // groups, 3, 3)
    how = (weight, None, stride, padding, 1, groups)
    grad = only(rows, functional.conv2d(x, *how).shape)
    found = gradients(conv2d, x, grad, *how)
    slow = gradients(functional.conv2d, x, grad, *how)
    assert torch.equal(found[0], slow[0])
    assert torch.allclose(found[1], slow[1], atol=1e-5)


@pytest.mark.parametrize(
    ('function', 'x', 'weight', 'more'),
    [
        (linear, torch.randn(2, 3, 4), torch.randn(3, 4), ()),
        (linear, torch.randn(4), torch.randn(3, 4), ()),
        (conv2d, torch.randn(3, 5, 6), torch.randn(2, 3, 3, 3), ()),
        (conv2d, torch.randn(2, 3, 5, 6), torch.randn(2, 3, 3, 3), (None, 1, 'same')),
    ],
)
def test_what_has_no_rows_is_torchs(function, x, weight, more):
    plain = {own: known for known, own in BY_ROWS.items()}[function]
    grad = torch.ones_like(plain(x, weight, *more))
    found, slow = (gradients(f, x, grad, weight, *more) for f in (function, plain))
    assert torch.equal(found[0], slow[0])
    assert torch.allclose(found[1], slow[1])


def test_weights_that_have_a_gradient_get_it():
    x = torch.randn(6, 4, requires_grad=True)
    weight = torch.randn(3, 4, requires_grad=True)
    linear(x, weight).sum().backward()
    assert torch.allclose(weight.grad, x.detach().sum(0).expand(3, 4))


def test_a_gradient_that_is_not_finite_is_seen():
    grad = torch.zeros(6, 3)
    grad[2, 1] = torch.nan
    _, found = gradients(linear, torch.randn(6, 4), grad, torch.randn(3, 4))
    assert found[2].isnan().all()
    assert not found[[0, 1, 3, 4, 5]].any()


class Align(nn.Module):
    """Cuts the columns of regions out of a map, and notes how many it is given."""

    def __init__(self):
        super().__init__()
        self.given = []

    def forward(self, features, regions):
        self.given.append(len(regions))
        columns = [features[0, :, :, int(region[1])] for region in regions]
        return torch.stack(columns)[..., None]


class TwoStages(nn.Module):
    """Scores regions of a map, as the second stage of a detector does."""

    def __init__(self):
        super().__init__()
        self.maps = nn.Conv2d(3, 4, 3, 1, 1)
        self.first = nn.Conv2d(4, 1, 1)
        self.align = Align()
        self.shared = nn.Conv2d(4, 5, 1)
        self.fc = nn.Linear(5 * 8, 3)

    def forward(self, x):
        features = self.maps(x)
        # They come from the maps too, as those of a first stage do.
        start = self.first(features).exp().sum() * 0
        regions = torch.tensor([[0.0, i] for i in (0, 3, 6, 3)]) + start
        cut = self.shared(self.align(features, regions)).relu()
        return self.fc(cut.flatten(1)).softmax(-1)


def test_a_score_leads_back_through_its_own_region():
    torch.manual_seed(0)
    model, x = TwoStages().eval(), torch.randn(1, 3, 8, 8)
    with watching(model, model.maps, True) as watched:  # all of it by torch
        score = model(x)[2, 1]
        slow = hires_cam(watched.found('maps'), score)
    model.align.given = []
    aligned = aligned_by_rows([model.align])
    with aligned, watching(model, model.maps, True, through_detach=True) as watched:
        score = model(x)[2, 1]
        found = hires_cam(watched.found('maps'), score)
    assert model.align.given == [4, 1]
    assert torch.allclose(found, slow, atol=1e-6)
    assert found[:, 6].any()
    assert not found[:, :6].any()
    assert 'forward' not in vars(model.align)


def test_what_has_no_gradient_asks_for_no_region():
    align, features = Align(), torch.randn(1, 2, 4, 8, requires_grad=True)
    with aligned_by_rows([align]):
        out = align(features, torch.tensor([[0.0, 2], [0.0, 5]]))
        (found,) = torch.autograd.grad(out, features, torch.zeros_like(out))
        with torch.no_grad():
            align(features, torch.tensor([[0.0, 2]]))
    assert align.given == [2, 1]
    assert not found.any()
