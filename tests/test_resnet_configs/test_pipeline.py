"""Images, data and evaluation (sources: conftest.py)."""

import math

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import METRICS, TRANSFORMS
from PIL import Image

GREY = 200
MEAN = (104, 116, 124)  # of ImageNet, blue first


def pipeline_of(config, loop='train'):
    first, *steps = config[f'{loop}_dataloader'].dataset.pipeline
    assert first.type == 'LoadImageFromFile'
    return Compose([TRANSFORMS.build(step) for step in steps])


def loaded(image):
    shape = image.shape[:2]
    return dict(img=image, img_shape=shape, ori_shape=shape, gt_label=3)


def tensor_of(pipeline, image, seed=0):
    np.random.seed(seed)
    return pipeline(loaded(image.copy()))['inputs'].numpy().transpose(1, 2, 0)


@pytest.fixture(scope='module')
def gradient():
    """Blue grows to the right, green to the bottom: says where a crop was."""
    image = np.zeros((240, 320, 3), np.uint8)
    image[..., 0] = np.linspace(0, 250, 320)[None]
    image[..., 1] = np.linspace(0, 250, 240)[:, None]
    return image


def test_random_crop(plain, gradient):
    """TPU preprocessing: area 8 to 100 %, aspect ratio 3/4 to 4/3; flips half."""
    pipeline = pipeline_of(plain)
    areas, ratios, flips = [], [], []
    for seed in range(200):
        crop = tensor_of(pipeline, gradient, seed).astype(float)
        assert crop.shape == (224, 224, 3)
        width = abs(crop[112, -1, 0] - crop[112, 0, 0]) / 250 * 320
        height = (crop[-1, 112, 1] - crop[0, 112, 1]) / 250 * 240
        areas.append(width * height / (320 * 240))
        ratios.append(width / height)
        flips.append(crop[112, -1, 0] < crop[112, 0, 0])
    assert 0.06 < min(areas) < 0.15
    assert 0.85 < max(areas) <= 1.01
    assert 0.70 < min(ratios) < 0.80
    assert 1.27 < max(ratios) < 1.40
    assert 65 < sum(flips) < 135  # five standard errors


def test_both_resize_bicubically(plain):
    """TPU preprocessing: resize_bicubic in training and in evaluation."""
    crop = plain.train_dataloader.dataset.pipeline[1]
    assert (crop.type, crop.interpolation) == ('RandomResizedCrop', 'bicubic')
    assert (crop.scale, crop.backend) == (224, 'pillow')


def test_nothing_else_changes_an_image(plain):
    """TPU preprocessing: no change of colour; ten tries at a crop, flips half."""
    steps = pipeline_of(plain).transforms
    names = [type(step).__name__ for step in steps]
    assert names == ['RandomResizedCrop', 'RandomFlip', 'PackInputs']
    crop, flip, _ = steps
    assert (crop.max_attempts, flip.prob) == (10, 0.5)


@pytest.mark.parametrize('shape', [(375, 500), (500, 333), (256, 256)])
def test_one_crop_is_evaluated(plain, shape):
    """TPU preprocessing: the middle, of a share 224 / 256 of the short side."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (*shape, 3), dtype=np.uint8)
    height, width = shape
    short = min(shape)
    size = (max(256 * width // short, 256), max(256 * height // short, 256))
    resized = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    left, top = (round((side - 224) / 2) for side in size)
    expected = np.asarray(resized)[top : top + 224, left : left + 224]
    found = tensor_of(pipeline_of(plain, 'val'), image)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_batches(plain):
    """Paper, 4.1: 1024 images; TPU: the 128 of a core are normalised together."""
    loader = plain.train_dataloader
    assert loader.batch_size * 8 == 1024 == plain.auto_scale_lr.base_batch_size
    assert loader.drop_last
    # TPU main: floor(1,281,167 / 1024) steps in an epoch
    share = math.ceil(1_281_167 / 8)  # what each process gets
    assert share // loader.batch_size == 1251
    assert loader.sampler == dict(type='DefaultSampler', shuffle=True)
    assert not plain.val_dataloader.drop_last
    assert plain.test_dataloader == plain.val_dataloader


def test_data(plain):
    for loop in ('train', 'val'):
        dataset = plain[f'{loop}_dataloader'].dataset
        assert (dataset.type, dataset.split) == ('ImageNet', loop)
        assert dataset.data_root == 'data/imagenet/'


def test_top1_and_top5_are_measured(plain):
    assert METRICS.build(plain.val_evaluator).topk == (1, 5)


def test_cutout_is_cut_at_two_edges_and_moved_in_at_the_others(read):
    """Ours: mmcv's, as the config says; its middle is anywhere in the image."""
    pipeline = pipeline_of(read('cutout'))
    grey = np.full((300, 300, 3), GREY, np.uint8)
    ends = set()
    for seed in range(200):
        hole = (tensor_of(pipeline, grey, seed) != GREY).any(-1)
        rows = np.flatnonzero(hole.any(1))
        ends.add((len(rows) < 112, rows[0] == 0, rows[-1] == 223))
    assert ends == {(False, True, False), (False, False, False), (True, False, True)}


def test_cutout_takes_a_square_of_every_image(read):
    """Paper, 4.1 names no size. Ours: 112 pixels, of the mean colour, always."""
    pipeline = pipeline_of(read('cutout'))
    grey = np.full((300, 300, 3), GREY, np.uint8)
    areas = []
    for seed in range(100):
        image = tensor_of(pipeline, grey, seed)
        hole = (image != GREY).any(-1)
        assert (image[hole] == MEAN).all()
        rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
        assert hole.sum() == len(rows) * len(columns), 'one rectangle'
        assert max(len(rows), len(columns)) <= 112
        areas.append(hole.sum())
    assert min(areas) > 0, 'every image has one'
    assert max(areas) == 112 * 112


def test_autoaugment_has_the_policies_of_its_paper(read):
    """Ours: those printed there, not TPU's v0, and in mmpretrain's reading of them."""
    from mmpretrain.datasets.transforms.auto_augment import AUTOAUG_POLICIES

    (step,) = read('autoaugment').train_dataloader.dataset.pipeline[3:-1]
    assert step.type == 'AutoAugment'
    found = [[dict(part) for part in policy] for policy in step.policies]
    for part in (part for policy in found for part in policy):
        turns = part['type'] in ('Rotate', 'Shear', 'Translate')
        assert part.pop('pad_val', None) == ((128, 128, 128) if turns else None)
    assert len(found) == 25
    assert found == AUTOAUG_POLICIES['imagenet']


@pytest.mark.parametrize('name', ['Rotate', 'Shear'])
def test_autoaugment_fills_with_grey(read, name):
    """TPU: 128 in every channel."""
    (step,) = read('autoaugment').train_dataloader.dataset.pipeline[3:-1]
    built = TRANSFORMS.build(step)
    parts = [part for sequence in built.transforms for part in sequence.transforms]
    part = next(part for part in parts if type(part).__name__ == name)
    part.prob = 1.0
    image = part(loaded(np.full((224, 224, 3), GREY, np.uint8)))['img']
    changed = image[(image != GREY).any(-1)]
    assert len(changed) > 100
    assert np.median(changed, axis=0).tolist() == [128, 128, 128]


def test_autoaugment_changes_images(read):
    pipeline = pipeline_of(read('autoaugment'))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (300, 300, 3), dtype=np.uint8)
    plain = pipeline_of(read('none'))
    changed = sum(
        not np.array_equal(tensor_of(pipeline, image, s), tensor_of(plain, image, s))
        for s in range(20)
    )
    assert changed > 10


@pytest.mark.parametrize('row', ['cutout', 'autoaugment'])
def test_augmentations_come_after_crop_and_flip(read, row):
    """TPU preprocessing: after the flip."""
    steps = [step.type for step in read(row).train_dataloader.dataset.pipeline]
    name = {'cutout': 'Cutout', 'autoaugment': 'AutoAugment'}[row]
    assert steps == [
        'LoadImageFromFile',
        'RandomResizedCrop',
        'RandomFlip',
        name,
        'PackInputs',
    ]


def test_smoothed_labels_are_tensorflows(read):
    """TPU main: y (1 - e) + e / K, by tf.losses.softmax_cross_entropy."""
    import torch
    from mmengine.registry import MODELS

    loss = MODELS.build(read('label-smooth').model.head.loss)
    scores, label = torch.randn(4, 1000), torch.tensor([0, 7, 999, 7])
    target = torch.full((4, 1000), 0.1 / 1000)
    target[range(4), label] += 0.9
    expected = -(target * scores.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss(scores, label), expected)
    assert math.isfinite(expected)
