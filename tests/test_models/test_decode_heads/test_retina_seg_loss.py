"""The loss at the stride of the logits, with mmseg's losses and samplers."""

import pytest
import torch
from mmengine.structures import PixelData
from torch import nn
from torch.nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    interpolate,
)

pytest.importorskip('mmseg')


def test_loss_is_cross_entropy_against_every_eighth_label(build_head, samples):
    head = build_head(align_corners=True).train()
    batch = samples(65, 65)
    logits = torch.randn(2, 5, 9, 9)
    labels = torch.stack([s.gt_sem_seg.data[0] for s in batch])[:, ::8, ::8]
    assert (labels == 255).any()
    losses = head.loss_by_feat(logits, batch)
    expected = cross_entropy(logits, labels, ignore_index=255)
    torch.testing.assert_close(losses['loss_ce'], expected)
    right = (logits.argmax(1) == labels)[labels != 255].float().mean() * 100
    torch.testing.assert_close(losses['acc_seg'].squeeze(), right)


def test_upsampled_loss_is_mmsegs(build_head, samples):
    from mmseg.models.decode_heads.decode_head import BaseDecodeHead

    head = build_head(upsample_loss=True, align_corners=True)
    batch, logits = samples(65, 65), torch.randn(2, 5, 9, 9)
    losses = head.loss_by_feat(logits, batch)
    torch.testing.assert_close(losses, BaseDecodeHead.loss_by_feat(head, logits, batch))
    large = interpolate(logits, (65, 65), mode='bilinear', align_corners=True)
    labels = torch.stack([s.gt_sem_seg.data[0] for s in batch])
    expected = cross_entropy(large, labels, ignore_index=255)
    torch.testing.assert_close(losses['loss_ce'], expected)


@pytest.mark.parametrize('align_corners', [True, False])
@pytest.mark.parametrize(('size', 'map_size'), [(513, 65), (128, 16), (130, 17)])
def test_labels_fit_a_pyramid_of_any_image(
    build_head, samples, size, map_size, align_corners
):
    head = build_head(align_corners=align_corners)
    batch = samples(size, size, images=1)
    assert head._stack_batch_gt(batch).shape == (1, 1, map_size, map_size)


@pytest.mark.parametrize(
    ('size', 'stride', 'align_corners'),
    [(513, 8, True), (65, 4, True), (128, 8, False), (128, 4, False)],
)
def test_labels_lie_where_the_logits_are_resized_to(
    build_head, samples, size, stride, align_corners
):
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


def test_a_stride_that_is_not_the_maps_is_an_error(build_head, samples):
    head = build_head(stride=4)
    with pytest.raises(ValueError, match=r'stride=4.*\(17, 17\).*\(9, 9\)'):
        head.loss_by_feat(torch.randn(2, 5, 9, 9), samples(65, 65))


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
def test_works_with_mmsegs_losses_and_samplers(build_head, pyramid, samples, options):
    head = build_head(**options).train()
    losses = head.loss(pyramid(), samples(65, 65), None)
    decoders = head.loss_decode
    decoders = decoders if isinstance(decoders, nn.ModuleList) else [decoders]
    total = sum(losses[decoder.loss_name].mean() for decoder in decoders)
    total.backward()
    assert torch.isfinite(total)
    assert len(losses) == len(decoders) + 1  # and the accuracy
    assert head.towers[0][0].conv.weight.grad.abs().sum() > 0


def test_ohem_keeps_the_hard_pixels_at_the_stride(build_head, samples):
    """With min_kept pixels and no threshold: the hardest of those not ignored."""
    head = build_head(sampler=dict(type='OHEMPixelSampler', min_kept=10))
    logits = torch.randn(1, 5, 9, 9)
    labels = head._stack_batch_gt(samples(65, 65, images=1))
    weight = head.sampler.sample(logits, labels)
    assert weight.shape == (1, 9, 9)
    losses = cross_entropy(logits, labels[0], ignore_index=255, reduction='none')
    assert torch.equal(weight > 0, losses >= losses.flatten().sort()[0][-10])


@pytest.mark.parametrize('sampler', [None, dict(type='OHEMPixelSampler', min_kept=9)])
def test_a_batch_without_labels_has_no_loss(build_head, pyramid, samples, sampler):
    head, batch = build_head(sampler=sampler).train(), samples(65, 65)
    for sample in batch:
        sample.gt_sem_seg.data.fill_(255)
    losses = head.loss(pyramid(), batch, None)
    losses['loss_ce'].backward()
    assert losses['loss_ce'] == 0
    assert not head.conv_seg.weight.grad.any()


@pytest.mark.parametrize('num_classes', [1, 2])
def test_two_classes_in_one_channel(build_head, pyramid, samples, num_classes):
    """mmseg's ways to write it: out_channels=1 of 2 classes, or 1 class."""
    loss = dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)
    head = build_head(
        num_classes=num_classes, out_channels=1, threshold=0.3, loss_decode=loss
    ).train()
    batch = samples(65, 65, classes=2)
    logits = head(pyramid())
    assert logits.shape == (2, 1, 9, 9)
    labels = head._stack_batch_gt(batch)
    known = labels != 255
    expected = binary_cross_entropy_with_logits(logits[known], labels[known].float())
    loss_ce = head.loss_by_feat(logits, batch)['loss_ce']
    torch.testing.assert_close(loss_ce, expected)
