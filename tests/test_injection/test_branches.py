"""The end of a residual branch, where DropPath goes."""

import copy

import pytest
import torch
from mmcv.cnn.bricks.drop import drop_path
from mmdet.models.backbones import ResNet
from torch import nn

from dropblock_mm import inject
from dropblock_mm.testing.toy import toy_resnet
from dropblock_mm.testing.toy_blocks import (
    BasicBlock,
    InvertedResidual,
    PlainShortcutBlock,
    PreActivationBlock,
    RegNetBlock,
)

BLOCKS = [
    BasicBlock,
    PlainShortcutBlock,
    PreActivationBlock,
    RegNetBlock,
    InvertedResidual,
]


def branch_site(block, keep_prob=1.0, **options):
    options = {'layer': 'DropPath', **options}
    (site,) = inject(
        block, [dict(module='')], keep_prob=keep_prob, where='branch', **options
    )
    return site


@pytest.mark.parametrize('make', BLOCKS)
@pytest.mark.parametrize('options', [{}, dict(layer='DropBlock2d', block_size=9)])
def test_a_branch_of_which_nothing_is_kept_leaves_the_shortcut(make, options):
    torch.manual_seed(0)
    block, x = make().train(), torch.randn(2, 4, 9, 9)
    branch_site(block, 0.0, **options)
    is_sum = isinstance(block, PreActivationBlock | InvertedResidual)
    torch.testing.assert_close(block(x), x if is_sum else torch.relu(x))


@pytest.mark.parametrize('make', BLOCKS)
def test_without_dropping_nothing_changes(make):
    torch.manual_seed(0)
    block, x = make(), torch.randn(2, 4, 9, 9)
    plain = copy.deepcopy(block)
    site = branch_site(block)
    assert torch.equal(block.train()(x), plain.train()(x))
    assert site.layer.seen_units == x.numel()
    assert torch.equal(block.eval()(x), plain.eval()(x))
    site.undo()
    assert repr(block) == repr(plain)


def test_a_block_without_a_sum_has_no_branch():
    block = InvertedResidual(has_skip=False)
    text = r"where='branch' .* no site for DropPath: .* kind 'conv'\. Give where='both'"
    with pytest.raises(ValueError, match=text):
        branch_site(block)


@pytest.mark.parametrize('index', [0, 1])  # a projection, an identity
def test_each_sample_is_as_with_mmcvs_drop_path(index, monkeypatch):
    """sum = identity + dropped branch, with what survives divided by its rate."""
    torch.manual_seed(0)
    block = toy_resnet(18).layer4[index].train()
    plain = copy.deepcopy(block)
    x = torch.rand(64, plain.conv1.in_channels, 5, 5)
    branch = plain.norm2(plain.conv2(torch.relu(plain.norm1(plain.conv1(x)))))
    shortcut = x if plain.downsample is None else plain.downsample(x)
    site = branch_site(block, 0.7)
    torch.manual_seed(1)
    out = block(x)
    kept = site.layer.kept_units.item() / site.layer.seen_units.item()
    torch.manual_seed(1)
    survives = site.layer(torch.ones(len(x), 1, 1, 1)) > 0
    # mmcv draws u for each sample too, and keeps where floor(0.7 + u) is 1.
    monkeypatch.setattr(torch, 'rand', lambda *args, **kwargs: survives.float())
    expected = torch.relu(drop_path(branch, 0.3, training=True) + shortcut)
    torch.testing.assert_close(out, expected)
    assert 0.5 < kept < 0.9
    assert kept * len(x) == pytest.approx(round(kept * len(x)))  # whole samples


def test_rates_agree_with_mmcvs_drop_path():
    torch.manual_seed(0)
    block, x = BasicBlock().train(), torch.randn(4000, 4, 3, 3)
    site = branch_site(block, 0.7)
    with torch.no_grad():
        block(x)
        theirs = drop_path(torch.ones(4000, 1), 0.3, training=True).bool()
    ours = site.layer.kept_units / site.layer.seen_units
    # Two binomial means; 5 standard deviations of their difference.
    assert abs(ours - theirs.double().mean()) < 5 * (2 * 0.7 * 0.3 / 4000) ** 0.5


def test_plugins_behind_the_last_norm_belong_to_the_branch():
    plugin = dict(cfg=dict(type='ContextBlock', ratio=0.25), position='after_conv3')
    block = ResNet(50, base_channels=8, stem_channels=8, plugins=[plugin]).layer1[1]
    nn.init.constant_(block.context_block.channel_add_conv[-1].bias, 3.0)
    branch_site(block.train(), 0.0)
    x = torch.randn(2, 32, 8, 8)
    torch.testing.assert_close(block(x), torch.relu(x))


class TimmLikeBlock(BasicBlock):
    """With a gate and stochastic depth, which it may inherit and not call."""

    def __init__(self, calls_path):
        super().__init__()
        self.se = nn.Conv2d(4, 4, 1)  # adds its bias also to nothing
        self.drop_path, self.calls_path = nn.Identity(), calls_path

    def branch(self, x):
        """Return what is added to the skip connection."""
        out = self.se(super().branch(x))
        return self.drop_path(out) if self.calls_path else out


@pytest.mark.parametrize('calls_path', [True, False])
def test_gates_behind_the_last_norm_belong_to_the_branch(calls_path):
    block, x = TimmLikeBlock(calls_path).train(), torch.randn(2, 4, 9, 9)
    branch_site(block, 0.0)
    torch.testing.assert_close(block(x), torch.relu(x))
