"""Recomputation: the same gradients and statistics, and half of the memory."""

import copy

import pytest
import torch
from torch import nn

from dropblock_mm import AmoebaNet, inject_drop_block
from dropblock_mm.recomputation import (
    recomputed,
    recomputed_forward,
    statistics_at_rest,
)
from tools.dev.live_memory import LiveMemory


def trained_once(with_cp):
    """A network after one step, with DropBlock at every site."""
    torch.manual_seed(0)
    net = AmoebaNet('B', 1, 16, with_cp=with_cp).train()
    inject_drop_block(net, [dict(module=r'cell\d+')], keep_prob=0.8, block_size=2)
    images = torch.randn(2, 3, 48, 48)
    torch.manual_seed(1)
    net(images)[0].square().sum().backward()
    return net


@pytest.fixture(scope='module')
def pair():
    return trained_once(False), trained_once(True)


def test_gradients_are_the_same(pair):
    for plain, again in zip(*(net.parameters() for net in pair), strict=True):
        torch.testing.assert_close(plain.grad, again.grad)


def test_norms_count_a_batch_once(pair):
    # torch's checkpoint alone counts it twice: 2 here, and other means.
    for plain, again in zip(*(net.buffers() for net in pair), strict=True):
        torch.testing.assert_close(plain, again)
    norms = [part for part in pair[1].modules() if isinstance(part, nn.BatchNorm2d)]
    assert {norm.num_batches_tracked.item() for norm in norms} == {1}
    assert {norm.momentum for norm in norms} == {0.1}


def test_norms_are_as_before_if_the_second_call_fails():
    norm = nn.BatchNorm2d(2)
    with pytest.raises(RuntimeError, match='on purpose'), statistics_at_rest(norm):
        raise RuntimeError('on purpose')
    assert norm.momentum == 0.1
    assert norm.num_batches_tracked == 0


def test_norms_in_eval_mode_use_their_statistics_in_both_calls():
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(2).eval()
    norm.running_mean.fill_(3.0)
    x = torch.randn(2, 2, 4, 4, requires_grad=True)
    recomputed(norm, x).square().sum().backward()
    (expected,) = torch.autograd.grad(norm(x).square().sum(), x)
    torch.testing.assert_close(x.grad, expected)


def test_memory_is_halved():
    """Gradients included; sizes are counted where no memory is allocated."""
    peaks = []
    for with_cp in (False, True):
        with torch.device('meta'):
            net = AmoebaNet('B', 4, 16, stem_channels=2, with_cp=with_cp).train()
            images = torch.empty(8, 3, 96, 96)
        with LiveMemory() as memory:
            net(images)[0].sum().backward()
        peaks.append(memory.peak)
    assert peaks[1] <= peaks[0] / 2, peaks


@pytest.mark.parametrize(
    'norm', [nn.BatchNorm2d(4), nn.InstanceNorm2d(4, track_running_stats=True)]
)
def test_a_forward_with_named_arguments_is_computed_again(norm):
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = norm

        def forward(self, x, *, scale):
            return self.norm(x) * scale

    torch.manual_seed(0)
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    module = Scaled()
    plain = copy.deepcopy(module)
    out = recomputed_forward(module, module.forward, x, scale=3.0)
    out.square().sum().backward()
    (expected,) = torch.autograd.grad(plain(x, scale=3.0).square().sum(), x)
    torch.testing.assert_close(x.grad, expected)
    torch.testing.assert_close(norm.running_mean, plain.norm.running_mean)
