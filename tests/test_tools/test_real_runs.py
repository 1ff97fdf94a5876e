"""The user's commands on real images: train, be killed, resume, test."""

import json
import shutil

import pytest

COCO = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'

BCCD_CONFIG = """
_base_ = 'mmdet::pascal_voc/retinanet_r50_fpn_1x_voc0712.py'
model = dict(
    backbone=dict(depth=18, frozen_stages=-1, norm_eval=False, init_cfg=None),
    neck=dict(in_channels=[64, 128, 256, 512], out_channels=64),
    bbox_head=dict(
        num_classes=3, in_channels=64, feat_channels=64, stacked_convs=1))
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(192, 144)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(192, 144)),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(
        type='PackDetInputs',
        meta_keys=(
            'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
train_dataloader = dict(
    batch_size=4, num_workers=0, persistent_workers=False,
    dataset=dict(
        _delete_=True, type='VOCDataset', data_root={root!r},
        metainfo=dict(classes=('RBC', 'WBC', 'Platelets')),
        ann_file='ImageSets/Main/train.txt', data_prefix=dict(sub_data_root=''),
        indices=16, pipeline=train_pipeline))
val_dataloader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(
        _delete_=True, type='VOCDataset', data_root={root!r},
        metainfo=dict(classes=('RBC', 'WBC', 'Platelets')),
        ann_file='ImageSets/Main/val.txt', data_prefix=dict(sub_data_root=''),
        indices=8, pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-3),
    clip_grad=dict(max_norm=10))
param_scheduler = []
randomness = dict(seed=0)
train_cfg = dict(max_epochs=4, val_interval=4)
default_hooks = dict(logger=dict(interval=1))
"""


@pytest.fixture
def work_dir(tmp_path):
    """A work dir that is emptied: pytest keeps tmp_path, checkpoints are large."""
    yield tmp_path / 'run'
    shutil.rmtree(tmp_path / 'run', ignore_errors=True)


def coco_options(root, work_dir):
    """Options that point the config to ``root`` and make the run very short."""
    settings = {
        'model.backbone.init_cfg': None,
        # A quarter of the width: its checkpoints are a sixteenth as large.
        'model.backbone.base_channels': 16,
        'model.neck.in_channels': '[64,128,256,512]',
        'model.neck.out_channels': 64,
        'model.bbox_head.in_channels': 64,
        'model.bbox_head.feat_channels': 64,
        # Hardly trained, it is sure of nothing: keep some boxes all the same.
        'model.test_cfg.score_thr': 0.0,
        'model.test_cfg.nms_pre': 20,
        'model.test_cfg.max_per_img': 10,
        'train_dataloader.dataset.pipeline.2.scale': '(160,160)',
        'train_dataloader.dataset.indices': 6,
        'train_cfg.max_epochs': 2,
        'default_hooks.logger.interval': 1,
        'default_hooks.checkpoint.max_keep_ckpts': 1,
    }
    for loop in ('train', 'val', 'test'):
        settings |= {
            f'{loop}_dataloader.dataset.data_root': root,
            f'{loop}_dataloader.num_workers': 0,
            f'{loop}_dataloader.persistent_workers': False,
        }
    for loop in ('val', 'test'):
        settings |= {
            f'{loop}_dataloader.dataset.pipeline.1.scale': '(160,160)',
            f'{loop}_dataloader.dataset.indices': 4,
            f'{loop}_evaluator.ann_file': f'{root}/annotations/instances_val2017.json',
            f'{loop}_evaluator.outfile_prefix': work_dir / f'{loop}_boxes',
        }
    return ['--cfg-options', *(f'{key}={value}' for key, value in settings.items())]


def check_schedule(logged, total):
    """keep_prob is the schedule's at every iteration, before and after the kill."""
    steps = [line for line in logged if 'keep_prob' in line]
    assert steps[-1]['step'] == total
    for line in steps:
        expected = 1 - 0.1 * (line['step'] - 1) / (total - 1)
        assert line['keep_prob'] == pytest.approx(expected, abs=1e-6)
    assert 0.85 < steps[-1]['effective_keep_rate'] < 1


def read_metrics(work_dir):
    """What tools/test.py left."""
    (path,) = work_dir.glob('*/2*.json')
    return json.loads(path.read_text())


@pytest.mark.slow
def test_coco(train_until, run_tool, shared_data, work_dir, scalars):
    root = shared_data / 'coco_tiny'
    if not root.is_dir():
        pytest.skip(f'no {root}')
    options = coco_options(root, work_dir)
    train = [COCO, '--dropblock', 'resnet_c4c5', '--work-dir', str(work_dir)]
    train_until('epoch_2.pth', *train, *options)
    resumed = run_tool('train', *train, '--resume', *options)
    assert 'resumed epoch: 1, iter: 3' in resumed
    check_schedule(scalars(work_dir), total=6)

    checkpoint = str(work_dir / 'epoch_2.pth')
    test = [COCO, checkpoint, '--work-dir', f'{work_dir}/t', '--classwise']
    tested = run_tool('test', *test, *options)
    assert 'Average Precision' in tested
    # So short a training finds nothing: compare the boxes, not only the zeros.
    boxes = [
        (work_dir / f'{loop}_boxes.bbox.json').read_text() for loop in ('val', 'test')
    ]
    assert boxes[0] == boxes[1]
    assert len(json.loads(boxes[0])) == 40
    metrics = read_metrics(work_dir / 't')
    evaluated = scalars(work_dir)[-1]
    assert 'coco/person_precision' in metrics
    assert sum(key.endswith('_precision') for key in metrics) == 80
    assert {key: evaluated[key] for key in metrics if 'mAP' in key} == {
        key: value for key, value in metrics.items() if 'mAP' in key
    }


@pytest.mark.slow
def test_bccd(train_until, run_tool, shared_data, tmp_path, work_dir, scalars):
    root = shared_data / 'bccd'
    if not root.is_dir():
        pytest.skip(f'no {root}')
    config = tmp_path / 'bccd.py'
    config.write_text(BCCD_CONFIG.format(root=f'{root}/'))
    train = [str(config), '--dropblock', 'resnet_c4c5', '--work-dir', str(work_dir)]
    train_until('epoch_3.pth', *train)
    assert 'resumed epoch: 2, iter: 8' in run_tool('train', *train, '--resume')
    check_schedule(scalars(work_dir), total=16)

    checkpoint = str(work_dir / 'epoch_4.pth')
    run_tool('test', str(config), checkpoint, '--work-dir', f'{work_dir}/t')
    metrics = read_metrics(work_dir / 't')
    evaluated = scalars(work_dir)[-1]
    assert metrics['pascal_voc/mAP'] > 0
    assert metrics['pascal_voc/mAP'] == evaluated['pascal_voc/mAP']
