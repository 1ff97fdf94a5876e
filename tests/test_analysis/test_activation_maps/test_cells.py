"""A shorter way back through a head's layers, held against autograd's own."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.autograd import graph
from torch.nn import functional

from dropblock_mm.analysis.activation_maps import convolutions
from dropblock_mm.analysis.activation_maps.cells import WhereItCounts, on_grid


@given(
    size=st.tuples(st.integers(3, 12), st.integers(3, 12)),
    stride=st.sampled_from([1, 2, (1, 2)]),
    padding=st.sampled_from([0, 2, (1, 3)]),
    dilation=st.sampled_from([1, 2, (2, 1)]),
    groups=st.sampled_from([1, 2, 4]),
    kernel=st.sampled_from([(2, 3), (1, 1), (3, 3)]),
    images=st.sampled_from([1, 2]),
    few=st.sampled_from([0, 64]),
    many=st.sampled_from([0, 1000]),
    seed=st.integers(0, 99),
    step=st.sampled_from([0, 1, 2, 4]),
)
@settings(deadline=None, max_examples=300)
def test_a_convolution_is_torchs(
    size, stride, padding, dilation, groups, kernel, images, few, many, seed, step
):
    outputs = 4 if groups == 4 else 6
    conv = nn.Conv2d(4, outputs, kernel, stride, padding, dilation, groups)
    conv.requires_grad_(False)
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(images, 4, *size).requires_grad_()
    for axis in (0, 1):
        reach = conv.dilation[axis] * (kernel[axis] - 1)
        if reach >= size[axis] + 2 * conv.padding[axis]:
            return
    slow = conv(x)
    grad = torch.zeros_like(slow)
    if step:  # a box of every so many rows and columns
        top, left = (int(torch.randint(n, (), generator=draw)) for n in slow.shape[2:])
        box = grad[:, :, top::step, left::step]
        box[:] = torch.randn(box.shape, generator=draw)
    with WhereItCounts(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolutions, '_MANY', many)
        found = conv(x)
    assert type(found.grad_fn).__name__ == 'Conv2dWhereItCountsBackward'
    assert torch.allclose(found, slow, atol=1e-6)
    expected = torch.autograd.grad(slow, x, grad)[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(convolutions, '_FEW', few)
        patch.setattr(convolutions, '_AT_ONCE', 3)
        (short,) = torch.autograd.grad(found, x, grad, allow_unused=True)
    if not step:
        assert short is None
        assert not expected.any()
    else:
        assert torch.allclose(short, expected, atol=1e-5)


def test_only_the_cells_that_count_are_multiplied(monkeypatch):
    conv = nn.Conv2d(3, 2, 3, padding=1).requires_grad_(False)
    x = torch.randn(1, 3, 20, 20, requires_grad=True)
    grad, seen = torch.zeros(1, 2, 20, 20), []
    grad[:, :, 4:13:4, 2:9:2] = 1
    led_back = convolutions._led_back

    def note(part, *how):
        seen.append(tuple(part.shape))
        return led_back(part, *how)

    monkeypatch.setattr(convolutions, '_led_back', note)
    with WhereItCounts():
        torch.autograd.grad(conv(x), x, grad)
    assert seen == [(1, 2, 3, 4)]


@pytest.mark.parametrize('affine', [True, False])
def test_a_norm_is_torchs_and_keeps_no_map(affine):
    norm = nn.BatchNorm2d(4, affine=affine).eval().requires_grad_(False)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    if affine:
        norm.weight.normal_()
        norm.bias.normal_()
    x = torch.randn(2, 4, 3, 5, requires_grad=True)
    kept = []

    def keep(tensor):
        kept.append(tensor)
        return tensor

    with graph.saved_tensors_hooks(keep, lambda tensor: tensor), WhereItCounts():
        norm(x)
    assert kept
    assert all(t.dim() == 1 for t in kept)
    with WhereItCounts():
        found = norm(x)
    assert type(found.grad_fn).__name__ == '_NormBackward'
    slow, grad = norm(x), torch.randn(2, 4, 3, 5)
    assert torch.equal(found, slow)
    short, expected = (torch.autograd.grad(out, x, grad)[0] for out in (found, slow))
    assert torch.allclose(short, expected, atol=1e-6)


def test_a_norm_that_counts_or_learns_is_left_alone():
    x = torch.randn(2, 4, 3, 5, requires_grad=True)
    counts = nn.BatchNorm2d(4).requires_grad_(False)
    alone = nn.BatchNorm2d(4, track_running_stats=False).eval().requires_grad_(False)
    learns = nn.BatchNorm2d(4).eval()
    with WhereItCounts():
        found = [norm(x) for norm in (counts, alone, learns)]
    assert not any(type(out.grad_fn).__name__ == '_NormBackward' for out in found)
    assert counts.num_batches_tracked == 1


@pytest.mark.parametrize('more', [{'padding': 'same'}, {'padding_mode': 'reflect'}])
def test_other_convolutions_are_left_alone(more):
    conv = nn.Conv2d(3, 2, 3, **({'padding': 1} | more))
    x = torch.randn(1, 3, 5, 6, requires_grad=True)
    with WhereItCounts():
        found = conv(x), functional.conv2d(x, conv.weight, bias=conv.bias)
    for out in found:  # weights that learn get their gradient
        out.sum().backward()
        assert conv.weight.grad.any()
        conv.weight.grad = None


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('size', [(7, 11), (2, 3), 9])
def test_a_low_map_is_resized_as_torch_does(size, align_corners):
    x = torch.randn(2, 4, 3, 5, requires_grad=True)
    slow = functional.interpolate(x, size, mode='bilinear', align_corners=align_corners)
    with WhereItCounts():
        found = functional.interpolate(x, size, None, 'bilinear', align_corners)
    assert 'Upsample' in type(slow.grad_fn).__name__
    assert 'Upsample' not in type(found.grad_fn).__name__
    assert torch.allclose(found, slow, atol=1e-6)
    grad = torch.randn_like(slow)
    short, expected = (torch.autograd.grad(out, x, grad)[0] for out in (found, slow))
    assert torch.allclose(short, expected, atol=1e-5)


@pytest.mark.parametrize(
    'how',
    [
        {'size': (7, 9), 'mode': 'nearest'},
        {'size': (7, 9), 'mode': 'bicubic'},
        {'scale_factor': 2.5, 'mode': 'bilinear'},
        {'size': (2, 3), 'mode': 'bilinear', 'antialias': True},
        {'size': (80, 80), 'mode': 'bilinear'},
    ],
)
def test_other_ways_to_resize_are_left_alone(how):
    height = 60 if how.get('size') == (80, 80) else 3
    x = torch.randn(1, 2, height, 20, requires_grad=True)
    with WhereItCounts():
        found = functional.interpolate(x, **how)
    assert 'Upsample' in type(found.grad_fn).__name__
    assert torch.equal(found, functional.interpolate(x, **how))


def test_shares_move_to_a_grid():
    shares = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])[None, None]
    expected = torch.tensor([[12.0, 0, 9], [0, 0, 0], [15, 0, 9]])
    assert torch.equal(on_grid(shares, 2)[0, 0], expected)
    assert torch.equal(on_grid(shares, 1), shares)
