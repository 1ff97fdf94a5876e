"""Stock configs of many kinds train on real images with --dropblock, unchanged.

But for what makes them small: size of the images, batches, length of the run.
"""

import math
import shutil

import pytest
from mmengine.config import Config

from dropblock_mm.config_files import resolve_config
from dropblock_mm.testing.stock_models import without

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
SIDE = 160


@pytest.fixture
def work_dir(tmp_path):
    """A work dir that is emptied: pytest keeps tmp_path, checkpoints are large."""
    yield tmp_path / 'run'
    shutil.rmtree(tmp_path / 'run', ignore_errors=True)


def shrink(value):
    """Turn every size of images in a config, such as (640, 640), into a small one."""
    if isinstance(value, dict):
        return {key: shrink(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        sizes = [v for v in value if type(v) is int]
        if len(value) == len(sizes) == 2 and min(sizes) >= 200:
            return (SIDE, SIDE)
        return type(value)(shrink(child) for child in value)
    return value


def fewer_regions(value):
    """Sample 16 regions of an image instead of some hundreds."""
    if isinstance(value, dict):
        found = {key: fewer_regions(child) for key, child in value.items()}
        return found | dict(num=16) if 'pos_fraction' in value else found
    return [fewer_regions(v) for v in value] if isinstance(value, list) else value


def rooted(value, root):
    """Point every data set at ``root``, and let it have ten images, once."""
    if isinstance(value, list):
        return [rooted(child, root) for child in value]
    if not isinstance(value, dict):
        return value
    found = {key: rooted(child, root) for key, child in value.items()}
    if 'times' in value:
        found['times'] = 1
    if 'data_root' in value:
        found |= dict(data_root=root, indices=10)
        found['data_prefix'].pop('seg', None)  # Mask2Former's, left from its base
    return found


def small(name, root):
    """A stock config for a run of ten iterations on small images."""
    cfg = Config.fromfile(resolve_config(name)).to_dict()
    cfg['model'] = fewer_regions(without(cfg['model'], ('init_cfg', 'pretrained')))
    cfg['model']['data_preprocessor'] = shrink(cfg['model']['data_preprocessor'])
    loader = rooted(shrink(cfg['train_dataloader']), root)
    if 'datasets' in loader['dataset']:
        loader['dataset'] = loader['dataset']['datasets'][0]
    cfg['train_dataloader'] = loader | dict(
        batch_size=2, num_workers=0, persistent_workers=False
    )
    if cfg['train_cfg'].get('type') == 'IterBasedTrainLoop':
        cfg['train_cfg'] = dict(type='IterBasedTrainLoop', max_iters=10)
    else:
        cfg['train_cfg'] = dict(type='EpochBasedTrainLoop', max_epochs=2)
    for loop in ('val', 'test'):
        for key in ('cfg', 'dataloader', 'evaluator'):
            cfg[f'{loop}_{key}'] = None
    for hook in cfg.get('custom_hooks') or []:
        hook |= {key: 1 for key in ('switch_epoch', 'num_last_epochs') if key in hook}
        hook |= shrink({k: v for k, v in hook.items() if k == 'switch_pipeline'})
    cfg['default_hooks'] |= dict(
        logger=dict(type='LoggerHook', interval=1),
        checkpoint=dict(type='CheckpointHook', interval=1000, save_last=False),
    )
    return Config(cfg | dict(randomness=dict(seed=0), auto_scale_lr=None))


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
    small(name, f'{root}/').dump(str(config))
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
