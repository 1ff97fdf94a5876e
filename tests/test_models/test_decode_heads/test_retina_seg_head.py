"""The head against the recipe, written once more in plain torch; and what it meets."""

import copy
import itertools
import subprocess
import sys

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from torch import nn
from torch.nn.functional import cross_entropy, interpolate, relu

from dropblock_mm import detach_drop_block, inject_drop_block

pytest.importorskip('mmseg')
CLASSES = 5


def build_head(**options):
    init_default_scope('mmseg')
    settings = dict(
        type='dropblock_mm.RetinaSegHead',
        in_channels=[8, 8, 8],
        channels=8,
        num_classes=CLASSES,
    )
    head = MODELS.build({**settings, **options})
    head.init_weights()
    return head


def pyramid(sizes=((9, 9), (5, 5), (3, 3)), channels=8, images=2):
    torch.manual_seed(0)
    return [torch.randn(images, channels, *size) for size in sizes]


def samples(height, width, images=2, seed=0):
    from mmseg.structures import SegDataSample

    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(images):
        labels = torch.randint(0, CLASSES, (1, height, width), generator=generator)
        labels[:, : height // 4] = 255
        meta = dict(img_shape=(height, width), ori_shape=(height, width))
        sample = SegDataSample(gt_sem_seg=PixelData(data=labels), metainfo=meta)
        found.append(sample)
    return found


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
def test_forward_values_are_the_recipes(training, align_corners):
    head = build_head(align_corners=align_corners).train(training)
    recipe = Recipe(8, 8, CLASSES).train(training)
    recipe.take_weights(head)
    levels = pyramid(((9, 13), (5, 7), (3, 4)))
    logits = head(levels)
    assert logits.shape == (2, CLASSES, 9, 13)
    torch.testing.assert_close(logits, recipe(levels, align_corners))
    theirs = [norm.running_mean for tower in recipe.norms for norm in tower]
    mine = [unit.norm.running_mean for tower in head.towers for unit in tower]
    torch.testing.assert_close(mine, theirs)
    assert any(mean.any() for mean in mine) == training


def test_defaults_are_the_recipes_numbers():
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


def test_other_widths_depths_and_levels():
    head = build_head(in_channels=[4, 4], channels=6, num_convs=1, in_index=[1, 2])
    levels = pyramid(((16, 16), (8, 8), (4, 4)), channels=4)
    assert head(levels).shape == (2, CLASSES, 8, 8)
    assert len([m for m in head.modules() if isinstance(m, nn.Conv2d)]) == 3
    assert build_head(norm_cfg=None)(pyramid()).isfinite().all()


def test_loss_is_cross_entropy_against_every_eighth_label():
    head = build_head(align_corners=True).train()
    batch = samples(65, 65)
    logits = torch.randn(2, CLASSES, 9, 9)
    labels = torch.stack([s.gt_sem_seg.data[0] for s in batch])[:, ::8, ::8]
    assert (labels == 255).any()
    losses = head.loss_by_feat(logits, batch)
    expected = cross_entropy(logits, labels, ignore_index=255)
    torch.testing.assert_close(losses['loss_ce'], expected)
    right = (logits.argmax(1) == labels)[labels != 255].float().mean() * 100
    torch.testing.assert_close(losses['acc_seg'].squeeze(), right)


def test_upsampled_loss_is_mmsegs():
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead

    head = build_head(upsample_loss=True, align_corners=True)
    batch, logits = samples(65, 65), torch.randn(2, CLASSES, 9, 9)
    losses = head.loss_by_feat(logits, batch)
    torch.testing.assert_close(losses, BaseDecodeHead.loss_by_feat(head, logits, batch))
    large = interpolate(logits, (65, 65), mode='bilinear', align_corners=True)
    labels = torch.stack([s.gt_sem_seg.data[0] for s in batch])
    expected = cross_entropy(large, labels, ignore_index=255)
    torch.testing.assert_close(losses['loss_ce'], expected)


@pytest.mark.parametrize('align_corners', [True, False])
@pytest.mark.parametrize(('size', 'map_size'), [(513, 65), (128, 16), (130, 17)])
def test_labels_fit_a_pyramid_of_any_image(size, map_size, align_corners):
    head = build_head(align_corners=align_corners)
    batch = samples(size, size, images=1)
    assert head._stack_batch_gt(batch).shape == (1, 1, map_size, map_size)


@pytest.mark.parametrize(
    ('size', 'stride', 'align_corners'),
    [(513, 8, True), (65, 4, True), (128, 8, False), (128, 4, False)],
)
def test_labels_lie_where_the_logits_are_resized_to(size, stride, align_corners):
    """Resized back, labels that ramp up are the ramp, within half a pixel."""
    head = build_head(stride=stride, align_corners=align_corners)
    ramp = torch.arange(size).expand(1, size, size)
    batch = samples(size, size, images=1)
    batch[0].gt_sem_seg = PixelData(data=ramp)
    taken = head._stack_batch_gt(batch).float()
    resized = interpolate(
        taken, (size, size), mode='bilinear', align_corners=align_corners
    )
    inside = slice(stride, size - stride)  # without align_corners the ends are flat
    off = (resized[0] - ramp)[..., inside]
    assert off.abs().max() <= (0 if align_corners else 0.5) + 1e-4


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(upsample_loss='no'), TypeError, r"upsample_loss='no'"),
        (dict(num_convs=0), ValueError, r'num_convs=0'),
        (dict(stride=8.5), TypeError, r'stride=8.5'),
        (dict(in_channels=8), TypeError, r'in_channels=8 .*list'),
        (dict(in_channels=[]), ValueError, r'in_channels=\[\]'),
        (dict(in_channels=[8, 16]), ValueError, r'in_channels=\[8, 16\].*FPN'),
        (dict(chanels=8), TypeError, r'chanels'),
    ],
    ids=repr,
)
def test_wrong_arguments_are_named(options, error, message):
    with pytest.raises(error, match=message):
        build_head(**options)


def test_a_stride_that_is_not_the_maps_is_an_error():
    head = build_head(stride=4)
    with pytest.raises(ValueError, match=r'stride=4.*\(17, 17\).*\(9, 9\)'):
        head.loss_by_feat(torch.randn(2, CLASSES, 9, 9), samples(65, 65))


@pytest.mark.parametrize(
    'options',
    [
        dict(sampler=dict(type='OHEMPixelSampler', thresh=0.7, min_kept=50)),
        dict(
            loss_decode=[
                dict(type='CrossEntropyLoss', loss_name='loss_ce'),
                dict(type='DiceLoss', loss_name='loss_dice', loss_weight=3.0),
            ]
        ),
        dict(loss_decode=dict(type='LovaszLoss', reduction='none')),
        dict(loss_decode=dict(type='TverskyLoss')),
        dict(dropout_ratio=0.1, act_cfg=dict(type='LeakyReLU')),
        dict(upsample_loss=True, sampler=dict(type='OHEMPixelSampler', min_kept=50)),
    ],
    ids=['ohem', 'two-losses', 'lovasz', 'tversky', 'dropout', 'upsampled-ohem'],
)
def test_works_with_mmsegs_losses_and_samplers(options):
    head = build_head(**options).train()
    losses = head.loss(pyramid(), samples(65, 65), None)
    total = sum(loss.mean() for name, loss in losses.items() if 'loss' in name)
    total.backward()
    assert torch.isfinite(total)
    assert head.towers[0][0].conv.weight.grad.abs().sum() > 0


def test_ohem_keeps_the_hard_pixels_at_the_stride():
    """With min_kept pixels and no threshold: the hardest of those not ignored."""
    head = build_head(sampler=dict(type='OHEMPixelSampler', min_kept=10))
    batch, logits = samples(65, 65, images=1), torch.randn(1, CLASSES, 9, 9)
    weight = head.sampler.sample(logits, head._stack_batch_gt(batch))
    assert weight.shape == (1, 9, 9)
    assert weight.sum() == 10


def test_every_conv_bn_relu_of_the_towers_is_a_site():
    head = nn.ModuleDict(dict(decode_head=build_head())).train()
    keys = list(head.state_dict())
    sites = inject_drop_block(
        head, [dict(module='decode_head')], keep_prob=0.5, block_size=2
    )
    assert [site.module for site in sites] == [
        f'decode_head.towers.{level}.{conv}' for level in range(3) for conv in range(3)
    ]
    assert list(head.state_dict()) == keys
    levels = pyramid()
    head['decode_head'](levels)
    seen = [int(site.layer.seen_units) for site in sites]
    assert seen == [2 * 8 * side**2 for side in (9, 5, 3) for _ in range(3)]
    assert all(site.layer.kept_units < site.layer.seen_units for site in sites)


def test_each_level_has_a_mask_of_its_own():
    """Equal inputs at all levels would be dropped alike by a shared mask."""
    head = build_head().train()
    sites = inject_drop_block(head, [dict(module='')], keep_prob=0.5, block_size=2)
    outputs = []
    for tower in head.towers:
        tower[0].register_forward_hook(lambda _m, _i, out: outputs.append(out))
    x = torch.ones(2, 8, 9, 9)
    head([x, x, x])
    masks = [out == 0 for out in outputs]
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[1], masks[2])
    detach_drop_block(sites)


def test_eval_is_bit_identical_with_drop_block():
    head = build_head().eval()
    levels = pyramid()
    plain = head(levels)
    sites = inject_drop_block(head, [dict(module='')], keep_prob=0.2, block_size=4)
    assert torch.equal(head(levels), plain)
    assert torch.equal(copy.deepcopy(head)(levels), plain)
    detach_drop_block(sites)


def test_a_copy_still_shares_its_convolutions():
    clone = copy.deepcopy(build_head())
    assert clone.towers[2][1].conv is clone.towers[0][1].conv
    assert clone.towers[2][1].norm is not clone.towers[0][1].norm


def test_weight_decay_spares_the_norms_with_bypass_duplicate():
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


def test_importing_the_package_imports_no_mmseg():
    code = (
        'import sys, dropblock_mm\n'
        "assert not [m for m in sys.modules if m.split('.')[0] in ('mmseg', 'mmcv')]\n"
        "assert dropblock_mm.RetinaSegHead.__name__ == 'RetinaSegHead'\n"
        "assert 'mmseg' in sys.modules\n"
    )
    subprocess.run([sys.executable, '-c', code], check=True)


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
