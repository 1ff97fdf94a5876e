"""RetinaSegHead in a whole segmentor of mmseg's: every way to train and to test it."""

import copy

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.model import convert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import PixelData
from torch import nn
from torch.nn.functional import interpolate

from dropblock_mm import inject_drop_block

pytest.importorskip('mmseg')
CLASSES = 4
NORM = dict(type='BN', requires_grad=True)
MODEL = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[0.0] * 3,
        std=[1.0] * 3,
        size=(64, 64),
        test_cfg=dict(size_divisor=8),
    ),
    backbone=dict(
        type='ResNet', depth=18, base_channels=4, out_indices=(1, 2, 3), norm_cfg=NORM
    ),
    neck=dict(type='FPN', in_channels=[8, 16, 32], out_channels=8, num_outs=3),
    decode_head=dict(
        type='dropblock_mm.RetinaSegHead',
        in_channels=[8, 8, 8],
        channels=8,
        num_convs=1,
        num_classes=CLASSES,
        norm_cfg=NORM,
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)


def build(**changes):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict({**copy.deepcopy(MODEL), **changes}))
    model.init_weights()
    return model


def batch(height=64, width=64, images=2):
    from mmseg.structures import SegDataSample

    torch.manual_seed(1)
    shape = (height, width)
    samples = [
        SegDataSample(
            gt_sem_seg=PixelData(data=torch.randint(0, CLASSES, (1, *shape))),
            metainfo=dict(img_shape=shape, ori_shape=shape, img_path='a.jpg'),
        )
        for _ in range(images)
    ]
    images = list(torch.randint(0, 255, (images, 3, *shape), dtype=torch.uint8))
    return dict(inputs=images, data_samples=samples)


def train_step(model):
    wrapper = build_optim_wrapper(
        model, ConfigDict(optimizer=dict(type='SGD', lr=0.01, momentum=0.9))
    )
    return model.train().train_step(batch(), wrapper)


def predict(model, data):
    """The logits Tensor[C, H, W] of each image."""
    return [s.seg_logits.data for s in model.eval().test_step(data)]


def test_trains_with_auxiliary_heads():
    auxiliary = dict(
        type='FCNHead',
        in_channels=16,
        channels=8,
        num_convs=1,
        in_index=1,
        num_classes=CLASSES,
        loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4),
    )
    second = dict(MODEL['decode_head'], in_index=[0, 1, 2])
    model = build(
        neck=dict(MODEL['neck'], out_channels=16),
        decode_head=dict(MODEL['decode_head'], in_channels=[16] * 3),
        auxiliary_head=[auxiliary, dict(second, in_channels=[16] * 3)],
    )
    losses = train_step(model)
    assert {'decode.loss_ce', 'aux_0.loss_ce', 'aux_1.loss_ce'} <= set(losses)
    assert torch.isfinite(losses['loss'])


def test_whole_image_testing_resizes_the_logits():
    model = build()
    data = batch(40, 52)
    (logits, _) = predict(model, copy.deepcopy(data))
    assert logits.shape == (CLASSES, 40, 52)
    inputs = torch.stack(data['inputs']).float()
    inputs = nn.functional.pad(inputs, (0, 4))  # 52 to a multiple of 8, on the right
    raw = model.decode_head(model.extract_feat(inputs))
    large = interpolate(raw, (40, 56), mode='bilinear', align_corners=False)
    torch.testing.assert_close(logits, large[0, :, :, :52])


def test_sliding_window_testing():
    test_cfg = dict(mode='slide', crop_size=(64, 64), stride=(32, 32))
    sliding, whole = build(test_cfg=test_cfg), build()
    small = batch(64, 64)
    torch.testing.assert_close(
        predict(sliding, copy.deepcopy(small)), predict(whole, small)
    )
    (logits, _) = predict(sliding, batch(96, 128))
    assert logits.shape == (CLASSES, 96, 128)
    assert logits.isfinite().all()


def test_flipped_images_are_flipped_back():
    model = build()
    data = batch()
    plain = predict(model, copy.deepcopy(data))
    for sample, image in zip(data['data_samples'], data['inputs'], strict=True):
        sample.set_metainfo(dict(flip=True, flip_direction='horizontal'))
        image.copy_(image.flip(-1))
    flipped = predict(model, data)
    raw = model.decode_head(
        model.extract_feat(torch.stack(data['inputs']).float())
    )  # of the flipped images
    large = interpolate(raw, (64, 64), mode='bilinear', align_corners=False)
    torch.testing.assert_close(flipped[0], large[0].flip(-1))
    assert flipped[0].shape == plain[0].shape


def test_test_time_augmentation_averages_scales_and_flips():
    model = build()
    tta = MODELS.build(dict(type='SegTTAModel', module=model)).eval()
    views = [batch(size, size) for size in (64, 96)]
    for view in views:
        for sample in view['data_samples']:
            sample.set_metainfo(dict(ori_shape=(64, 64), flip=False))
    merged = tta.test_step(
        {key: [view[key] for view in views] for key in ('inputs', 'data_samples')}
    )
    singles = [predict(model, view) for view in views]
    for index, sample in enumerate(merged):
        mean = sum(single[index].softmax(0) for single in singles) / len(singles)
        assert torch.equal(sample.pred_sem_seg.data.squeeze(), mean.argmax(0))


def test_conversion_to_sync_batch_norm_keeps_the_convolutions_shared():
    plain = build()
    model = convert_sync_batchnorm(copy.deepcopy(plain), 'torch')
    towers = model.decode_head.towers
    assert isinstance(towers[2][0].norm, nn.SyncBatchNorm)
    assert towers[2][0].conv is towers[0][0].conv
    assert list(model.state_dict()) == list(plain.state_dict())
    sites = inject_drop_block(model, [dict(module='decode_head')], keep_prob=0.5)
    assert len(sites) == 3
    torch.testing.assert_close(predict(model, batch()), predict(plain, batch()))


def test_bf16_autocast_stays_close():
    model = build()
    losses = {}
    for enabled in (False, True):
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            data = model.data_preprocessor(batch(), True)
            losses[enabled] = model.train().loss(**data)['decode.loss_ce']
    assert losses[True].isfinite()
    torch.testing.assert_close(
        losses[True].float(), losses[False].float(), atol=0.03, rtol=0
    )


def test_drop_block_leaves_testing_as_it_is():
    model = build()
    plain = predict(model, batch())
    inject_drop_block(model, [dict(module='decode_head')], keep_prob=0.2, block_size=4)
    train_weights = {k: v.clone() for k, v in model.state_dict().items()}
    assert all(
        torch.equal(a, b) for a, b in zip(predict(model, batch()), plain, strict=True)
    )
    fresh = build()
    fresh.load_state_dict(train_weights, strict=True)  # keys unchanged


@pytest.mark.parametrize(
    'head',
    [
        dict(type='FCNHead', num_convs=2, concat_input=True),
        dict(type='PSPHead', pool_scales=(1, 2)),
        dict(type='ASPPHead', dilations=(1, 2)),
        dict(type='DepthwiseSeparableASPPHead', dilations=(1, 2), c1_in_channels=0,
             c1_channels=0),
        dict(type='FPNHead', feature_strides=[8, 16, 32]),
        dict(type='UPerHead', pool_scales=(1, 2)),
    ],
    ids=lambda head: head['type'],
)  # fmt: skip
def test_mmsegs_own_heads_are_served_alike(head):
    """Trained, with masks at every site; tested, to the bit as without DropBlock."""
    several = head['type'] in ('FPNHead', 'UPerHead')
    inputs = (
        dict(in_channels=[8, 8, 8], in_index=[0, 1, 2])
        if several
        else dict(in_channels=8, in_index=0)
    )
    model = build(
        decode_head=dict(head, **inputs, channels=8, num_classes=CLASSES, norm_cfg=NORM)
    )
    keys = list(model.state_dict())
    plain = predict(model, batch())
    sites = inject_drop_block(
        model, [dict(module='decode_head')], keep_prob=0.5, block_size=2
    )
    units = [m for m in model.decode_head.modules() if hasattr(m, 'with_norm')]
    assert len(sites) == len(units) > 0
    assert list(model.state_dict()) == keys
    assert all(
        torch.equal(a, b) for a, b in zip(predict(model, batch()), plain, strict=True)
    )
    assert torch.isfinite(train_step(model)['loss'])
    assert all(site.layer.seen_units > 0 for site in sites)
    dropped = [site for site in sites if site.layer.kept_units < site.layer.seen_units]
    assert len(dropped) >= len(sites) - 1  # a map of one unit may be kept whole
