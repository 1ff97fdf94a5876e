"""Units of a convolution and its norm, gates, and blocks with a skip connection."""

import copy

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from dropblock_mm import detach_drop_block, inject_drop_block
from dropblock_mm.testing.toy_blocks import (
    BasicBlock,
    ConvNormAct,
    InvertedResidual,
    PlainBlock,
    PlainShortcutBlock,
    PreActivationBlock,
    RegNetBlock,
    inject_all,
)


@pytest.mark.parametrize(
    ('act', 'name'), [(nn.ReLU(), 'bn'), (None, 'bn'), (nn.SiLU(), '')]
)
def test_a_unit_is_dropped_where_it_commutes_with_the_activation(act, name):
    unit = ConvNormAct(act)
    assert inject_all(unit)['conv'].place.after is unit.get_submodule(name)


@pytest.mark.parametrize(
    ('act', 'index'), [(nn.ReLU(), 1), (nn.SiLU(), 2), (nn.MaxPool2d(2), 1)]
)
def test_a_sequence_is_dropped_where_it_commutes_with_the_activation(act, index):
    sequence = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), act)
    site = inject_all(sequence)['0.conv']
    assert site.place.after is sequence[index]
    sequence(torch.randn(2, 4, 9, 9))
    assert len(sequence) == 3
    assert site.layer.seen_units > 0


def test_a_frozen_sequence_does_not_drop():
    """The layer follows its convolution into eval mode, not the block around it."""
    stem = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU())
    model = nn.ModuleDict(dict(stem=stem, block=BasicBlock()))
    sites = inject_all(model)
    model.train()
    stem.eval().requires_grad_(False)
    assert not sites['stem.0.conv'].layer.training
    assert [name for name, site in sites.items() if site.frozen] == ['stem.0.conv']


class Neck(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.unit = ConvModule(4, 4, 3, padding=1, **options)

    def forward(self, x):
        return self.unit(x)


@pytest.mark.parametrize(
    ('options', 'after_norm'),
    [
        (dict(norm_cfg=dict(type='BN')), True),
        (dict(norm_cfg=dict(type='BN'), act_cfg=None), True),
        (dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='LeakyReLU')), True),
        (dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='Swish')), False),
        (dict(norm_cfg=dict(type='BN'), order=('norm', 'act', 'conv')), False),
        (dict(), False),
        (dict(act_cfg=None), False),
    ],
)
def test_conv_module_is_dropped_where_it_commutes_with_the_activation(
    options, after_norm
):
    torch.manual_seed(0)
    model = Neck(**options).train()
    x = torch.randn(2, 4, 9, 9)
    plain = copy.deepcopy(model)(x)
    (site,) = inject_drop_block(
        model, [dict(module='unit')], keep_prob=0.6, block_size=3
    )
    assert (site.place.after is model.unit) != after_norm
    out = model(x)
    scale = x.numel() / site.layer.kept_units.item()
    kept = out != 0
    torch.testing.assert_close(out[kept], (plain * scale)[kept])
    assert (~kept).sum() >= x.numel() - site.layer.kept_units > 0


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.unit = ConvModule(4, 4, 1)

    def forward(self, x):
        return x * self.unit(self.pool(x)).sigmoid()


@pytest.mark.parametrize(
    'gate',
    [
        SqueezeExcite(),
        nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Sigmoid()),
        ConvModule(4, 4, 1, norm_cfg=dict(type='BN'), act_cfg=dict(type='Sigmoid')),
    ],
)
def test_gates_are_left_alone(gate):
    with pytest.raises(ValueError, match=r'the model \(.*no site for DropBlock'):
        inject_all(nn.Sequential(gate))


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
