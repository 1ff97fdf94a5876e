"""OpenMMLab's own tools on a config and a checkpoint of a training with DropBlock.

The tools are those that the installed packages carry, run as their pages say. The
trainings have what is ours in a dumped config: hooks, channels_last, a visualizer that
had no name.
"""

import importlib.util
import json
import runpy
import sys
import time
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import mmdet
import mmpretrain
import mmseg
import numpy as np
import pytest
import torch
from mmdet.apis import DetInferencer, inference_detector, init_detector
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmpretrain import ImageClassificationInferencer, get_model
from mmseg.apis import MMSegInferencer, inference_model, init_model
from PIL import Image

import dropblock_mm
from dropblock_mm.config_files import resolve_config
from dropblock_mm.testing.small_detector import small_detector

SIDE = 64
OURS = """
custom_hooks = [
    dict(type='dropblock_mm.DropBlockInjectionHook', block_size=3,
         targets=[dict(module='backbone.layer4')]),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9)]
channels_last = True
train_cfg = dict({loop}type='EpochBasedTrainLoop', max_epochs=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1e-4))
param_scheduler = []
val_dataloader = dict(
    batch_size=1, num_workers=0, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(**data, pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(**data, pipeline=train_pipeline))
"""
DETECTOR = (
    small_detector(2)
    + """
data = dict(data_root={root!r}, ann_file='all.json', data_prefix=dict(img='images/'),
            metainfo=dict(classes=('cat', 'dog')))
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=(64, 64)), dict(type='PackDetInputs')]
test_pipeline = [
    *train_pipeline[:-1], dict(type='PackDetInputs', meta_keys=(
        'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
val_evaluator = dict(ann_file={root!r} + 'all.json')
test_evaluator = val_evaluator
visualizer = dict(
    _delete_=True, type='DetLocalVisualizer',
    vis_backends=[dict(type='LocalVisBackend')])
default_hooks = dict(logger=dict(interval=1))
"""
)
SEGMENTOR = """
_base_ = [{base!r}, {runtime!r}]
norm_cfg = dict(type='BN')
model = dict(
    data_preprocessor=dict(size=(64, 64)), pretrained=None,
    backbone=dict(depth=18, base_channels=8, stem_channels=8, norm_cfg=norm_cfg),
    decode_head=dict(in_channels=64, channels=8, num_classes=2, norm_cfg=norm_cfg),
    auxiliary_head=dict(
        in_channels=32, channels=8, num_classes=2, norm_cfg=norm_cfg))
data = dict(
    type='BaseSegDataset', data_root={root!r}, metainfo=dict(
        classes=('ground', 'cat'), palette=[[0, 0, 0], [200, 0, 0]]),
    data_prefix=dict(img_path='images', seg_map_path='labels'))
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')]
test_pipeline = train_pipeline
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
val_cfg, test_cfg = dict(type='ValLoop'), dict(type='TestLoop')
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD'))
visualizer = dict(
    _delete_=True, type='SegLocalVisualizer',
    vis_backends=[dict(type='LocalVisBackend')])
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', by_epoch=True, interval=1),
    logger=dict(type='LoggerHook', interval=1))
"""


CLASSIFIER = """
_base_ = [{runtime!r}]
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8,
                  num_stages=4, out_indices=(3,), style='pytorch'),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=64, topk=(1,),
              loss=dict(type='CrossEntropyLoss', loss_weight=1.0)))
data_preprocessor = dict(num_classes=2, mean=[124, 116, 104], std=[58, 57, 57])
data = dict(
    type='CustomDataset', data_root={root!r}, data_prefix='images',
    ann_file='classes.txt', metainfo=dict(classes=('cat', 'dog')))
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='ResizeEdge', scale=64),
    dict(type='PackInputs')]
test_pipeline = train_pipeline
val_evaluator = dict(type='Accuracy', topk=(1,))
test_evaluator = val_evaluator
val_cfg, test_cfg = dict(), dict()
visualizer = dict(
    _delete_=True, type='UniversalVisualizer',
    vis_backends=[dict(type='LocalVisBackend')])
default_hooks = dict(logger=dict(interval=1))
"""


class Trained:
    """A work dir after training: what stock tools are given of it."""

    def __init__(self, root, package):
        self.root, self.work_dir = root, root / 'run'
        self.tools = Path(package.__file__).parent / '.mim/tools'
        self.config = str(next(self.work_dir.glob('*.py')))
        self.weights = str(self.work_dir / 'epoch_1.pth')
        self.scalars = str(next(self.work_dir.glob('*/vis_data/scalars.json')))
        self.image = str(root / 'data/images/0.jpg')

    def find(self, tool):
        """The path of a tool, whatever folder a version has it in."""
        found = sorted(self.tools.rglob(f'{tool}.py'))
        assert found, f'no {tool}.py in {self.tools}'
        return str(found[0])


def train(root, text, **names):
    """Train for an epoch of four images, in this process."""
    images, labels = root / 'data/images', root / 'data/labels'
    for folder in (images, labels):
        folder.mkdir(parents=True)
    listed, boxes = [], []
    for index in range(4):
        pixels = np.random.default_rng(index).integers(0, 256, (SIDE, SIDE, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(images / f'{index}.jpg')
        classes = np.zeros((SIDE, SIDE), np.uint8)
        classes[8:40, 8:40] = 1
        Image.fromarray(classes).save(labels / f'{index}.png')
        listed.append(dict(id=index, file_name=f'{index}.jpg', width=SIDE, height=SIDE))
        box = dict(id=index + 1, image_id=index, category_id=1 + index % 2)
        boxes.append(box | dict(bbox=[8, 8, 32, 32], area=1024, iscrowd=0))
    categories = [dict(id=1, name='cat'), dict(id=2, name='dog')]
    coco = dict(images=listed, annotations=boxes, categories=categories)
    (root / 'data/all.json').write_text(json.dumps(coco))
    lines = [f'{index}.jpg {index % 2}\n' for index in range(4)]
    (root / 'data/classes.txt').write_text(''.join(lines))
    config = root / f'{root.name}.py'
    config.write_text((text + OURS).format(root=f'{root}/data/', **names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
        patch.setenv('LOCAL_RANK', '0')
        patch.setattr(DefaultScope, '_instance_dict', OrderedDict())
        command = importlib.import_module('dropblock_mm.commands.train')
        command.main([str(config), '--work-dir', str(root / 'run')])


@pytest.fixture(scope='module')
def detector(tmp_path_factory):
    root = tmp_path_factory.mktemp('stock_det')
    train(root, DETECTOR, loop='_delete_=True, ')
    return Trained(root, mmdet)


@pytest.fixture(scope='module')
def segmentor(tmp_path_factory):
    root = tmp_path_factory.mktemp('stock_seg')
    parts = ('models/fcn_r50-d8.py', 'default_runtime.py')
    base, runtime = (resolve_config(f'mmseg::_base_/{part}') for part in parts)
    train(root, SEGMENTOR, loop='', base=base, runtime=runtime)
    return Trained(root, mmseg)


@pytest.fixture(scope='module')
def classifier(tmp_path_factory):
    root = tmp_path_factory.mktemp('stock_cls')
    runtime = resolve_config('mmpretrain::_base_/default_runtime.py')
    train(root, CLASSIFIER, loop='', runtime=runtime)
    return Trained(root, mmpretrain)


@pytest.fixture(params=['detector', 'segmentor', 'classifier'], scope='module')
def trained(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def readable(load_tool):
    """The call after which scripts of others read checkpoints."""
    dropblock_mm.keep_loading_safe()


@pytest.fixture
def run(monkeypatch, tmp_path, capsys, readable):
    """A function that runs a stock tool, and returns what it printed."""
    monkeypatch.chdir(tmp_path)
    mpl.use('Agg')
    if importlib.util.find_spec('seaborn') is None:  # of which a style is asked
        style = SimpleNamespace(set_style=lambda name: None)
        monkeypatch.setitem(sys.modules, 'seaborn', style)

    def run_tool(trained, tool, *argv):
        monkeypatch.setattr(sys, 'argv', [tool, *argv])
        capsys.readouterr()
        runpy.run_path(trained.find(tool), run_name='__main__')
        return capsys.readouterr().out

    return run_tool


def test_print_config(trained, run):
    said = run(trained, 'print_config', trained.config)
    assert 'dropblock_mm.DropBlockInjectionHook' in said


def test_browse_dataset(detector, run, tmp_path):
    """That of mmseg 1.2.2 ends in OpenCV 4.12, whatever the config."""
    run(
        detector, 'browse_dataset', detector.config, '--output-dir', 'out', '--not-show'
    )
    assert len(list((tmp_path / 'out').rglob('*.jpg'))) == 4


def test_browse_classes(classifier, run, tmp_path):
    options = ['--output-dir', 'out', '--not-show', '--mode', 'original']
    run(classifier, 'browse_dataset', classifier.config, *options)
    assert len(list((tmp_path / 'out').rglob('*.jpg'))) == 4


@pytest.mark.parametrize('kind', ['detector', 'classifier'])
def test_get_flops(request, kind, run):
    """That of mmseg 1.2.2 ends in MMEngine, whatever the config."""
    trained = request.getfixturevalue(kind)
    said = run(trained, 'get_flops', trained.config)
    assert 'Flops: ' in said
    assert 'Flops: 0.0' not in said


def test_analyze_logs(trained, run, tmp_path):
    """Of the iterations: mmdet's takes a validation for one of them."""
    lines = Path(trained.scalars).read_text().splitlines(keepends=True)
    (tmp_path / 'log.json').write_text(''.join(n for n in lines if '"loss"' in n))
    plot = [] if trained.tools.parts[-3] == 'mmseg' else ['plot_curve']
    keys = ['--keys', 'loss', 'effective_keep_rate', '--out', 'loss.png']
    run(trained, 'analyze_logs', *plot, 'log.json', *keys)
    assert Image.open(tmp_path / 'loss.png').size[0] > 100


def test_publish_model(trained, run, tmp_path):
    run(trained, 'publish_model', trained.weights, 'model.pth')
    until = time.monotonic() + 20
    while not list(tmp_path.glob('model*-*.pth')) and time.monotonic() < until:
        time.sleep(0.05)  # it is renamed by a process that nobody waits for
    (published,) = tmp_path.glob('model*-*.pth')
    before = torch.load(trained.weights, weights_only=False)['state_dict']
    after = torch.load(published, weights_only=False)['state_dict']
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_what_is_dumped_needs_nothing_of_a_run(trained):
    config = Config.fromfile(trained.config)
    assert config.channels_last
    assert config.model.type in ('RetinaNet', 'EncoderDecoder', 'ImageClassifier')
    assert config.visualizer.name == 'visualizer'


def test_detectors_are_opened(detector, readable, tmp_path):
    model = init_detector(detector.config, detector.weights, device='cpu')
    boxes = inference_detector(model, detector.image).pred_instances
    weights = torch.load(detector.weights, weights_only=False)['state_dict']
    assert model.state_dict().keys() == weights.keys()
    inferencer = DetInferencer(detector.config, detector.weights, device='cpu')
    found = inferencer(detector.image, out_dir=str(tmp_path), no_save_pred=False)
    assert len(found['predictions'][0]['scores']) == len(boxes)
    assert list((tmp_path / 'vis').iterdir())


def test_segmentors_are_opened(segmentor, readable, tmp_path):
    model = init_model(segmentor.config, segmentor.weights, device='cpu')
    labels = inference_model(model, segmentor.image).pred_sem_seg.data[0]
    inferencer = MMSegInferencer(segmentor.config, segmentor.weights, device='cpu')
    found = inferencer(segmentor.image, out_dir=str(tmp_path))
    assert np.array_equal(found['predictions'], labels.numpy())
    assert list((tmp_path / 'vis').iterdir())


def test_classifiers_are_opened(classifier, readable, tmp_path):
    model = get_model(classifier.config, classifier.weights, device='cpu')
    inferencer = ImageClassificationInferencer(model, device='cpu')
    (found,) = inferencer(classifier.image, show_dir=str(tmp_path))
    assert found['pred_class'] in ('cat', 'dog')
    assert found['pred_scores'].sum() == pytest.approx(1, abs=1e-5)
    assert list(tmp_path.glob('*.png')) or list(tmp_path.glob('*.jpg'))
