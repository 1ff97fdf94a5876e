"""Images, data and evaluation (sources: conftest.py)."""

import numpy as np
import pytest
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS


def annotated_image(height, width, boxes=((10, 20, 110, 220),)):
    """What CocoDataset and LoadImageFromFile hand on."""
    instances = [dict(bbox=list(b), bbox_label=5, ignore_flag=0) for b in boxes]
    return dict(
        img=np.full((height, width, 3), 200, np.uint8),
        img_shape=(height, width),
        ori_shape=(height, width),
        height=height,
        width=width,
        instances=instances,
    )


def pipeline_of(loader):
    first, *steps = loader.dataset.pipeline
    assert first.type == 'LoadImageFromFile'
    return Compose([TRANSFORMS.build(step) for step in steps])


@pytest.mark.parametrize('shape', [(375, 500), (500, 333), (640, 640)])
def test_training_pipeline(shape, scratch):
    """Paper, 4.3: scale jitter [512, 768], then padding or cropping to 640."""
    pipeline = pipeline_of(scratch.train_dataloader)
    scales, flips = [], []
    for seed in range(60):
        np.random.seed(seed)
        packed = pipeline(annotated_image(*shape))
        sample = packed['data_samples']
        assert packed['inputs'].shape == (3, 640, 640)
        assert sample.img_shape == (640, 640)
        boxes = sample.gt_instances.bboxes.tensor
        assert ((boxes >= 0) & (boxes <= 640)).all()
        width, height = (
            np.multiply(shape[::-1], sample.scale_factor).round().astype(int)
        )
        image = (packed['inputs'] == 200).all(0)  # and not the padding
        assert image[:height, :width].all()
        assert image.sum() == min(height, 640) * min(width, 640)
        scales.append(max(shape) * max(sample.scale_factor))
        flips.append(bool(sample.flip))
    assert 511 <= min(scales) < 530
    assert 750 < max(scales) <= 768
    assert 15 < sum(flips) < 45  # TPU model: input_rand_hflip=True


def test_padding_is_right_and_below_and_of_the_mean_colour(model, scratch):
    """TPU dataloader: pad_to_bounding_box with zeros, after normalize_image."""
    pipeline = pipeline_of(scratch.train_dataloader)
    np.random.seed(0)
    packed = pipeline(annotated_image(100, 400))
    height = round(100 * packed['data_samples'].scale_factor[1])
    batch = model.data_preprocessor(
        dict(inputs=[packed['inputs']], data_samples=[packed['data_samples']])
    )
    assert batch['inputs'].shape == (1, 3, 640, 640)
    assert batch['inputs'][0, :, :height, :500].min() > 1  # the image
    assert batch['inputs'][0, :, height:].abs().max() < 0.02


def test_crops_without_objects_stay(scratch):
    """TPU dataloader keeps every crop; mmdet would skip the image."""
    pipeline = pipeline_of(scratch.train_dataloader)
    counts = set()
    for seed in range(40):
        np.random.seed(seed)
        packed = pipeline(annotated_image(640, 640, boxes=[(0, 0, 8, 8)]))
        assert packed['inputs'].shape == (3, 640, 640)
        counts.add(len(packed['data_samples'].gt_instances))
    assert counts == {0, 1}
    assert pipeline(annotated_image(300, 400, boxes=[])) is not None


def test_test_pipeline(scratch):
    """Paper, 4.3: one scale, the longest side at 640."""
    pipeline = pipeline_of(scratch.val_dataloader)
    assert pipeline(annotated_image(375, 500))['inputs'].shape == (3, 480, 640)
    assert pipeline(annotated_image(500, 375))['inputs'].shape == (3, 640, 480)


def test_data_and_evaluation(scratch):
    training, testing = scratch.train_dataloader, scratch.val_dataloader
    assert training.dataset.ann_file.endswith('train2017.json')  # paper, 4.3
    assert testing.dataset.ann_file.endswith('val2017.json')
    assert scratch.val_evaluator.type == 'CocoMetric'
    assert training.batch_size == 8  # of 64 on 8 GPUs: TPU, _DEFAULT_BATCH_SIZE
    assert training.batch_sampler is None  # TPU dataloader: no order but chance
    # 280,000 steps of 64 images are 150 epochs (paper) if all 118,287 images count.
    assert not training.dataset.filter_cfg.filter_empty_gt
    assert scratch.test_dataloader == scratch.val_dataloader
    assert scratch.randomness.diff_rank_seed  # or masks would repeat on every GPU
