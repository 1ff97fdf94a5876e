"""RetinaSegHead in a segmentor of mmseg's: every way to test it."""

import copy

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn
from torch.nn.functional import interpolate

from dropblock_mm import inject_drop_block

pytest.importorskip('mmseg')


def test_whole_image_testing_resizes_the_logits(build_segmentor, batch, predict):
    model = build_segmentor()
    data = batch(40, 52)
    (logits, _) = predict(model, copy.deepcopy(data))
    assert logits.shape == (5, 40, 52)
    inputs = torch.stack(data['inputs']).float()
    inputs = nn.functional.pad(inputs, (0, 4))  # 52 to a multiple of 8, on the right
    raw = model.decode_head(model.extract_feat(inputs))
    large = interpolate(raw, (40, 56), mode='bilinear', align_corners=False)
    torch.testing.assert_close(logits, large[0, :, :, :52])


def test_sliding_window_testing(build_segmentor, batch, predict):
    test_cfg = dict(mode='slide', crop_size=(64, 64), stride=(32, 32))
    sliding, whole = build_segmentor(test_cfg=test_cfg), build_segmentor()
    small = batch(64, 64)
    torch.testing.assert_close(
        predict(sliding, copy.deepcopy(small)), predict(whole, small)
    )
    (logits, _) = predict(sliding, batch(96, 128))
    assert logits.shape == (5, 96, 128)
    assert logits.isfinite().all()


def test_flipped_images_are_flipped_back(build_segmentor, batch, predict):
    model = build_segmentor()
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


def test_test_time_augmentation_averages_scales_and_flips(
    build_segmentor, batch, predict
):
    model = build_segmentor()
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


def test_drop_block_leaves_testing_as_it_is(build_segmentor, batch, predict):
    model = build_segmentor()
    plain = predict(model, batch())
    inject_drop_block(model, [dict(module='decode_head')], keep_prob=0.2, block_size=4)
    train_weights = {k: v.clone() for k, v in model.state_dict().items()}
    assert all(
        torch.equal(a, b) for a, b in zip(predict(model, batch()), plain, strict=True)
    )
    fresh = build_segmentor()
    fresh.load_state_dict(train_weights, strict=True)  # keys unchanged
