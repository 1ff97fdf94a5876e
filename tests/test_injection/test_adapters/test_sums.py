"""Blocks whose forward alone shows their sum."""

import copy

import pytest
import torch
from torch import fx, nn
from torch.nn import functional

from dropblock_mm import inject
from dropblock_mm.injection.adapters.sums import graph_of
from dropblock_mm.testing.toy_blocks import PlainBlock, inject_all


class Projected(PlainBlock):
    """Its projection is two attributes, under names of its own."""

    def __init__(self):
        super().__init__()
        self.widen, self.widened = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x):
        return torch.relu(self.widened(self.widen(x)) + self.branch(x))


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))

    def forward(self, x):
        return functional.relu(x.add(self.body(x)))


class NormFirst(PlainBlock):
    def forward(self, x):
        out = self.conv1(torch.relu(self.bn1(x)))
        return x + self.conv2(torch.relu(self.bn2(out)))


class Padded(PlainBlock):
    """As ResNets for CIFAR without parameters in the skip connection."""

    def forward(self, x):
        return torch.relu(self.branch(x) + functional.pad(x, (0, 0, 0, 0)))


class InputUsedTwice(PlainBlock):
    def forward(self, x):
        return x + self.branch(x) * self.conv1(x)


class NoSum(PlainBlock):
    def forward(self, x):
        return torch.cat([x, self.branch(x)], 1)


class SumOfEquals(PlainBlock):
    def forward(self, x):
        return self.bn1(self.conv1(x)) + self.bn2(self.conv2(x))


class Decides(PlainBlock):
    def forward(self, x):
        return super().forward(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ('kind', 'places'),
    [
        (PlainBlock, 'shortcut conv1 conv2'),
        (Projected, 'shortcut conv1 conv2'),
        (Body, 'shortcut body.0.conv'),
        (NormFirst, 'shortcut conv1 conv2'),
        (Padded, 'conv1 conv2'),
        (InputUsedTwice, 'conv1 conv2'),
    ],
)
def test_places(kind, places):
    assert ' '.join(inject_all(kind())) == places


@pytest.mark.parametrize('kind', [NoSum, SumOfEquals, Decides])
def test_what_shows_no_skip_connection_is_no_residual_block(kind):
    with pytest.raises(ValueError, match=f'its norms are in {kind.__name__}: no kind'):
        inject_all(kind())


def test_every_branch_dropped_leaves_the_projection_or_the_input():
    torch.manual_seed(0)
    x = torch.randn(2, 4, 9, 9)
    for kind in (PlainBlock, Projected, Body, NormFirst):
        block = kind()
        skip = block.widened(block.widen(x)) if kind is Projected else x
        inject(block, [dict(module='')], layer='DropPath', keep_prob=0.0)
        expected = x if kind is NormFirst else skip.relu()
        torch.testing.assert_close(block.train()(x), expected)


def test_tracing_leaves_no_trace():
    class Keeps(PlainBlock):
        def forward(self, x):
            self.seen = x
            return super().forward(x)

    block = Keeps()
    before = {**vars(block)}
    assert graph_of(block) is not None
    assert vars(block) == before


def test_an_injected_block_can_be_traced_copied_and_compiled():
    """The graph calls the layer and the first convolution, and not the block."""
    torch.manual_seed(0)
    model = nn.Sequential(PlainBlock(), PlainBlock())
    x, plain = torch.randn(2, 4, 9, 9), copy.deepcopy(model)
    for site in inject_all(model, block_size=9).values():
        site.layer.set_keep_prob(0.0 if site.place.name == 'shortcut' else 1.0)
    expected = torch.relu(plain[1].branch(torch.relu(plain[0].branch(x))))
    traced = fx.symbolic_trace(model)
    compiled = torch.compile(copy.deepcopy(model), backend='eager')
    for served in (model, traced, traced, copy.deepcopy(model), compiled):
        torch.testing.assert_close(served(x), expected)
