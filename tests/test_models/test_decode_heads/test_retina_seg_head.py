"""The head against the recipe, written once more in plain torch; and what it meets."""

import copy
import itertools
import os
import subprocess
import sys

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from torch import nn
from torch.nn.functional import interpolate, relu

import dropblock_mm

pytest.importorskip('mmseg')


class Recipe(nn.Module):
    """The authors' head in plain torch: 3 levels, weights shared, norms not."""

    def __init__(self, inputs, width, classes, convs=3, eps=1e-4):
        super().__init__()
        channels = [inputs] + [width] * convs
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1, bias=False)
            for before, after in itertools.pairwise(channels)
        )
        self.norms = nn.ModuleList(
            nn.ModuleList(nn.BatchNorm2d(width, eps, 0.003) for _ in range(convs))
            for _ in range(3)
        )
        self.last = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.fused_norm = nn.BatchNorm2d(width, eps, 0.003)
        self.classify = nn.Conv2d(width, classes, 3, padding=1)

    def forward(self, levels, align_corners):
        total = 0
        for x, norms in zip(levels, self.norms, strict=True):
            for conv, norm in zip(self.convs, norms, strict=True):
                x = relu(norm(conv(x)))
            total = total + interpolate(
                self.last(x),
                size=levels[0].shape[2:],
                mode='bilinear',
                align_corners=align_corners,
            )
        return self.classify(relu(self.fused_norm(total)))

    def take_weights(self, head):
        """Copy a RetinaSegHead's weights, each norm's made to differ by level."""
        pairs = [(self.last, head.conv_final), (self.classify, head.conv_seg)]
        pairs += [(self.fused_norm, head.fused_norm)]
        pairs += [
            (conv, unit.conv)
            for conv, unit in zip(self.convs, head.towers[0], strict=True)
        ]
        for norms, tower in zip(self.norms, head.towers, strict=True):
            pairs += [(n, unit.norm) for n, unit in zip(norms, tower, strict=True)]
        for mine, other in pairs:
            if isinstance(other, nn.BatchNorm2d):
                nn.init.normal_(other.weight)
                nn.init.normal_(other.bias)
            mine.load_state_dict(other.state_dict())


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('align_corners', [True, False])
def test_forward_values_are_the_recipes(build_head, pyramid, training, align_corners):
    head = build_head(align_corners=align_corners).train(training)
    recipe = Recipe(8, 8, head.num_classes).train(training)
    recipe.take_weights(head)
    levels = pyramid(((9, 13), (5, 7), (3, 4)))
    logits = head(levels)
    assert logits.shape == (2, 5, 9, 13)
    torch.testing.assert_close(logits, recipe(levels, align_corners))
    theirs = [norm.running_mean for tower in recipe.norms for norm in tower]
    mine = [unit.norm.running_mean for tower in head.towers for unit in tower]
    torch.testing.assert_close(mine, theirs)
    assert any(mean.any() for mean in mine) == training


def test_defaults_are_the_recipes_numbers(build_head):
    head = build_head(in_channels=[256] * 3, channels=256, num_classes=21)
    recipe = Recipe(256, 256, 21)

    def count(module):
        return sum(p.numel() for p in module.parameters())

    assert count(head) == count(recipe) == 2_412_821
    norms = [m for m in head.modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 3 * 3 + 1
    assert {(n.momentum, n.eps) for n in norms} == {(0.003, 1e-4)}
    convs = [m for m in head.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 3 + 1 + 1
    for conv in convs:  # the authors' code initialises all of them so
        assert conv.kernel_size == (3, 3)
        assert conv.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert head.dropout is None
    assert head.ignore_index == 255


def test_other_widths_depths_and_levels(build_head, pyramid):
    head = build_head(in_channels=[4, 4], channels=6, num_convs=1, in_index=[1, 2])
    levels = pyramid(((16, 16), (8, 8), (4, 4)), channels=4)
    assert head(levels).shape == (2, 5, 8, 8)
    assert len([m for m in head.modules() if isinstance(m, nn.Conv2d)]) == 3
    assert build_head(norm_cfg=None)(pyramid()).isfinite().all()


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(upsample_loss='no'), TypeError, r"upsample_loss='no'"),
        (dict(num_convs=0), ValueError, r'num_convs=0'),
        (dict(stride=8.5), TypeError, r'stride=8.5'),
        (dict(in_channels=8), TypeError, r'in_channels=8 .*list'),
        (dict(in_channels=[]), ValueError, r'in_channels=\[\]'),
        (dict(in_channels=[8, 16]), ValueError, r'in_channels=\[8, 16\].*FPN'),
        (dict(in_index=0), TypeError, r'in_index=0 .*list'),
        (dict(in_index=[0, 1]), ValueError, r'in_index=\[0, 1\] .*3 indices'),
        (dict(chanels=8), TypeError, r'chanels'),
    ],
    ids=repr,
)
def test_wrong_arguments_are_named(build_head, options, error, message):
    with pytest.raises(error, match=message):
        build_head(**options)


def test_a_copy_still_shares_its_convolutions(build_head):
    clone = copy.deepcopy(build_head())
    assert clone.towers[2][1].conv is clone.towers[0][1].conv
    assert clone.towers[2][1].norm is not clone.towers[0][1].norm


def test_weight_decay_spares_the_norms_with_bypass_duplicate(build_head):
    wrapper = build_optim_wrapper(
        build_head(),
        ConfigDict(
            optimizer=dict(type='SGD', lr=0.02, weight_decay=1e-5),
            paramwise_cfg=dict(norm_decay_mult=0.0, bypass_duplicate=True),
        ),
    )
    decays = [
        (group['params'][0].dim(), group['weight_decay'])
        for group in wrapper.optimizer.param_groups
    ]
    assert len(decays) == 3 + 1 + 2 + 2 * 10
    assert {decay for dim, decay in decays if dim == 4} == {1e-5}
    assert [decay for dim, decay in decays if dim == 1].count(0.0) == 20


def test_mmseg_is_imported_when_the_head_is_asked_for(tmp_path):
    # One that cannot be imported is found as the real one is, which takes seconds.
    (tmp_path / 'mmseg').mkdir()
    (tmp_path / 'mmseg/__init__.py').write_text("raise ImportError('it is imported')")
    code = (
        'import sys, dropblock_mm\n'
        "assert not [m for m in sys.modules if m.split('.')[0] in ('mmseg', 'mmcv')]\n"
        'from mmengine.registry import MODELS\n'
        "assert MODELS.get('dropblock_mm.DropBlock2d')\n"
        'print(MODELS.get("dropblock_mm.RetinaSegHead").__name__, flush=True)\n'
        'dropblock_mm.RetinaSegHead\n'
    )
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, '-c', code],
        env={**os.environ, 'PYTHONPATH': path},
        capture_output=True,
        text=True,
    )
    assert done.stdout == 'build_retina_seg_head\n', done.stderr
    assert done.stderr.endswith('ImportError: it is imported\n')


def test_the_head_has_its_name():
    assert dropblock_mm.RetinaSegHead.__name__ == 'RetinaSegHead'


def test_without_mmseg_the_rest_is_there():
    code = (
        'import importlib.util as u, sys\n'
        'find = u.find_spec\n'
        "u.find_spec = lambda name, *a: None if name == 'mmseg' else find(name, *a)\n"
        "sys.modules['mmseg'] = None\n"
        'import dropblock_mm\n'
        'from mmengine.registry import MODELS\n'
        "assert MODELS.get('dropblock_mm.DropBlock2d')\n"
        "assert MODELS.get('dropblock_mm.RetinaSegHead') is None\n"
        'try:\n'
        '    dropblock_mm.RetinaSegHead\n'
        'except ModuleNotFoundError as error:\n'
        "    assert 'mmseg' in str(error)\n"
    )
    subprocess.run([sys.executable, '-c', code], check=True)
