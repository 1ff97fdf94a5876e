"""Each kind of block with a skip connection."""

import copy

import pytest
import torch
from torch import nn

from dropblock_mm import detach_drop_block
from dropblock_mm.testing.toy_blocks import (
    BasicBlock,
    InvertedResidual,
    PlainBlock,
    PlainShortcutBlock,
    PreActivationBlock,
    RegNetBlock,
    inject_all,
)


def test_blocks_have_the_places_they_should():
    model = nn.ModuleDict(
        dict(
            basic=BasicBlock(),
            wider=BasicBlock(4, 8),
            cifar=PlainShortcutBlock(),
            other_slot=BasicBlock(slot='shortcut'),
            before=PreActivationBlock(),
            regnet=RegNetBlock(),
            inverted=InvertedResidual(),
            no_skip=InvertedResidual(has_skip=False),
        )
    )
    sites = inject_all(model)
    ways = {
        name: 'slot' if site.place.slot else 'sum' if site.place.adds_input else 'after'
        for name, site in sites.items()
        if site.place.kind == 'shortcut'
    }
    assert ways == {
        'basic.shortcut': 'slot',
        'wider.shortcut': 'after',
        'cifar.shortcut': 'after',
        'other_slot.shortcut': 'slot',
        'before.shortcut': 'sum',
        'regnet.shortcut': 'slot',
        'inverted.shortcut': 'sum',
    }
    assert sorted(sites.keys() - ways.keys()) == [
        *(f'{block}.conv{i}' for block in ('basic', 'before', 'cifar') for i in (1, 2)),
        'inverted.bn1',
        'inverted.unit.conv',
        'no_skip.bn1',
        'no_skip.unit.conv',
        'other_slot.conv1',
        'other_slot.conv2',
        'regnet.f.0.conv',
        'wider.conv1',
        'wider.conv2',
    ]


BLOCKS = [
    BasicBlock,
    PlainBlock,
    PlainShortcutBlock,
    PreActivationBlock,
    RegNetBlock,
    InvertedResidual,
]


@pytest.mark.parametrize('make', BLOCKS)
def test_without_dropping_nothing_changes(make):
    torch.manual_seed(0)
    block, x = make(), torch.randn(2, 4, 9, 9)
    plain = copy.deepcopy(block)
    sites = inject_all(block, keep_prob=1.0)
    torch.testing.assert_close(block.train()(x), plain.train()(x))
    assert all(site.layer.seen_units > 0 for site in sites.values())
    assert torch.equal(block.eval()(x), plain.eval()(x))
    assert list(block.state_dict()) == list(plain.state_dict())


@pytest.mark.parametrize('make', BLOCKS)
def test_a_shortcut_of_which_nothing_is_kept_leaves_the_branch(make):
    torch.manual_seed(0)
    block, x = make(), torch.randn(2, 4, 9, 9, requires_grad=True)
    plain = copy.deepcopy(block)
    inject_all(block, keep_prob=1.0, block_size=9)['shortcut'].layer.set_keep_prob(0.0)

    if isinstance(plain, (PreActivationBlock, InvertedResidual)):
        expected = plain.train()(x) - x
    else:
        inner = plain.f if isinstance(plain, RegNetBlock) else plain.branch
        expected = torch.relu(inner(x))
    out = block.train()(x)
    torch.testing.assert_close(out, expected)
    (given,) = torch.autograd.grad(out.square().sum(), x)
    (wanted,) = torch.autograd.grad(expected.square().sum(), x)
    torch.testing.assert_close(given, wanted, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize('make', BLOCKS)
def test_detaching_restores_the_block(make):
    torch.manual_seed(0)
    block, x = make(), torch.randn(2, 4, 9, 9)
    before = repr(block), copy.deepcopy(block)(x)
    detach_drop_block(list(inject_all(block).values()))
    assert (repr(block), not block._forward_hooks) == (before[0], True)
    assert torch.equal(block(x), before[1])
