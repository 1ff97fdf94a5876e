"""Stock configs of many kinds train on real images with --dropblock, unchanged.

But for what makes them small: size of the images, batches, length of the run. So do
the worked examples, which are stock configs and two hooks.
"""

import math
import shutil
from pathlib import Path

import pytest

from dropblock_mm.testing.small_runs import small

FRAGMENT = """
custom_hooks = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        block_size=2,
        targets={targets!r}),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.8),
]
"""
LATE = [dict(module=r'backbone\.(layer|stage)[34]')]
C4 = [dict(module='backbone.layer3'), dict(module='roi_head.shared_head')]
WHOLE = [dict(module='backbone'), dict(module='neck'), dict(module='bbox_head')]

DETECTORS = [
    ('atss/atss_r50_fpn_1x_coco.py', LATE),
    ('cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py', LATE),
    ('detr/detr_r50_8xb2-150e_coco.py', LATE),
    ('faster_rcnn/faster-rcnn_r50-caffe-c4_ms-1x_coco.py', C4),
    ('fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py', LATE),
    ('mask2former/mask2former_r50_8xb2-lsj-50e_coco.py', LATE),
    ('mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py', LATE),
    ('rtmdet/rtmdet_tiny_8xb32-300e_coco.py', WHOLE),
    ('ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco.py', [dict(module='backbone')]),
    ('tridentnet/tridentnet_r50-caffe_1x_coco.py', [dict(module='backbone.layer3')]),
    ('yolo/yolov3_d53_8xb8-320-273e_coco.py', [dict(module='backbone')]),
    ('yolox/yolox_tiny_8xb8-300e_coco.py', WHOLE),
]
SEGMENTORS = [
    ('deeplabv3plus/deeplabv3plus_r50-d8_4xb4-20k_voc12aug-512x512.py', LATE),
    ('pspnet/pspnet_r50-d8_4xb4-20k_voc12aug-512x512.py', LATE),
    ('upernet/upernet_r50_4xb4-20k_voc12aug-512x512.py', LATE),
]
EXAMPLES = sorted(
    (Path(__file__).resolve().parents[2] / 'configs').glob(
        '*/*_dropblock-keep90-block7_*_coco.py'
    )
)


@pytest.fixture
def work_dir(tmp_path):
    """A work dir that is emptied: pytest keeps tmp_path, checkpoints are large."""
    yield tmp_path / 'run'
    shutil.rmtree(tmp_path / 'run', ignore_errors=True)


def check_run(text, logged):
    """Losses are finite, keep_prob moves, and what is kept is what it says."""
    steps = [line for line in logged if 'keep_prob' in line]
    assert [line['step'] for line in steps] == list(range(1, 11))
    assert all(math.isfinite(line['loss']) for line in steps)
    for index, line in enumerate(steps):
        assert line['keep_prob'] == pytest.approx(1 - 0.2 * index / 9, abs=1e-6)
        # Blocks of 2 overlap little, and many maps are large.
        assert line['effective_keep_rate'] == pytest.approx(
            line['keep_prob'], abs=0.02 + 0.2 * (1 - line['keep_prob'])
        )
    assert 'DropBlock did nothing' not in text


def train(name, targets, root, tmp_path, work_dir, run_tool, scalars):
    config, fragment = tmp_path / 'small.py', tmp_path / 'fragment.py'
    small(name, root).dump(str(config))
    fragment.write_text(FRAGMENT.format(targets=targets))
    text = run_tool(
        'train',
        *(str(config), '--dropblock', str(fragment), '--work-dir', str(work_dir)),
    )
    check_run(text, scalars(work_dir))


@pytest.mark.nightly
@pytest.mark.parametrize(('name', 'targets'), DETECTORS, ids=str)
def test_detectors(name, targets, shared_data, tmp_path, work_dir, run_tool, scalars):
    root = shared_data / 'coco_tiny'
    name = f'mmdet::{name}'
    train(name, targets, root, tmp_path, work_dir, run_tool, scalars)


@pytest.mark.nightly
@pytest.mark.parametrize(('name', 'targets'), SEGMENTORS, ids=str)
def test_segmentors(name, targets, shared_data, tmp_path, work_dir, run_tool, scalars):
    root = shared_data / 'voc2012_mini/VOCdevkit/VOC2012'
    name = f'mmseg::{name}'
    train(name, targets, root, tmp_path, work_dir, run_tool, scalars)


@pytest.mark.nightly
@pytest.mark.parametrize('path', EXAMPLES, ids=lambda path: path.stem)
def test_worked_examples(path, shared_data, tmp_path, work_dir, run_tool, scalars):
    config = tmp_path / 'small.py'
    small(path, shared_data / 'coco_tiny', images=4).dump(str(config))
    text = run_tool('train', str(config), '--work-dir', str(work_dir))
    steps = [line for line in scalars(work_dir) if 'keep_prob' in line]
    rates = [line['keep_prob'] for line in steps]
    assert rates == pytest.approx([1, 1 - 0.1 / 3, 1 - 0.2 / 3, 0.9])
    assert all(math.isfinite(line['loss']) for line in steps)
    assert steps[0]['effective_keep_rate'] == 1
    assert steps[-1]['effective_keep_rate'] < 1
    assert 'DropBlock did nothing' not in text
