"""Every command takes configs that have classes in place of names, and no scope."""

import contextlib
import json
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from dropblock_mm.commands import train
from dropblock_mm.programs import PROGRAMS

DETECTOR = """
from mmcv.ops import nms
from mmcv.transforms import LoadImageFromFile
from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import LoadAnnotations, PackDetInputs, Resize
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.evaluation import CocoMetric
from mmdet.models import DetDataPreprocessor, FPN, ResNet, RetinaHead, RetinaNet
from mmdet.models.losses import FocalLoss, L1Loss
from mmdet.models.task_modules import (
    AnchorGenerator, DeltaXYWHBBoxCoder, MaxIoUAssigner, PseudoSampler)
from mmdet.visualization import DetLocalVisualizer
from mmengine.dataset import DefaultSampler
from mmengine.hooks import CheckpointHook, LoggerHook
from mmengine.model import PretrainedInit
from mmengine.optim import LinearLR, OptimWrapper
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from mmengine.visualization import LocalVisBackend
from torch.nn import SyncBatchNorm
from torch.optim import SGD

default_scope = None
train_pipeline = [
    dict(type=LoadImageFromFile), dict(type=LoadAnnotations, with_bbox=True),
    dict(type=Resize, scale=(64, 64)), dict(type=PackDetInputs)]
test_pipeline = [*train_pipeline[:-1], dict(type=PackDetInputs, meta_keys=(
    'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
model = dict(
    type=RetinaNet,
    data_preprocessor=dict(type=DetDataPreprocessor, pad_size_divisor=32),
    backbone=dict(
        type=ResNet, depth=18, base_channels=8, stem_channels=8,
        norm_cfg=dict(type=SyncBatchNorm), norm_eval=False),
    neck=dict(type=FPN, in_channels=[8, 16, 32, 64], out_channels=8, start_level=1,
              num_outs=3),
    bbox_head=dict(
        type=RetinaHead, num_classes=2, in_channels=8, feat_channels=8,
        stacked_convs=1,
        anchor_generator=dict(type=AnchorGenerator, octave_base_scale=4,
                              scales_per_octave=1, ratios=[1.0], strides=[8, 16, 32]),
        bbox_coder=dict(type=DeltaXYWHBBoxCoder),
        loss_cls=dict(type=FocalLoss), loss_bbox=dict(type=L1Loss)),
    train_cfg=dict(
        assigner=dict(type=MaxIoUAssigner, pos_iou_thr=0.5, neg_iou_thr=0.4),
        sampler=dict(type=PseudoSampler), allowed_border=-1, pos_weight=-1),
    test_cfg=dict(nms_pre=10, min_bbox_size=0, score_thr=0.0,
                  nms=dict(type=nms, iou_threshold=0.5), max_per_img=5))
data = dict(type=CocoDataset, data_root=ROOT, ann_file='coco.json',
            data_prefix=dict(img=''), metainfo=dict(classes=('three', 'eight')))
train_dataloader = dict(
    batch_size=2, sampler=dict(type=DefaultSampler, shuffle=True),
    dataset=dict(**data, pipeline=train_pipeline))
val_dataloader = dict(
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(**data, pipeline=test_pipeline, test_mode=True))
test_dataloader = val_dataloader
val_evaluator = dict(type=CocoMetric, ann_file=ROOT + '/coco.json')
test_evaluator = val_evaluator
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=1)
val_cfg, test_cfg = dict(type=ValLoop), dict(type=TestLoop)
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.001))
param_scheduler = [dict(type=LinearLR, by_epoch=False, end=2)]
default_hooks = dict(
    checkpoint=dict(type=CheckpointHook, interval=1),
    logger=dict(type=LoggerHook, interval=1),
    visualization=dict(type=DetVisualizationHook))
visualizer = dict(type=DetLocalVisualizer, vis_backends=[dict(type=LocalVisBackend)],
                  name='visualizer')
"""
CHILD = """
from mmengine.config import read_base

from dropblock_mm import DropBlockInjectionHook, KeepProbScheduleHook

with read_base():
    from .{parent} import *

custom_hooks = [
    dict(type=DropBlockInjectionHook, block_size=3,
         targets=[dict(module='backbone.layer4')]),
    dict(type=KeepProbScheduleHook, keep_prob=0.8)]
"""


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A detector's config, and one that inherits from it and adds DropBlock."""
    root = tmp_path_factory.mktemp('pure')
    rng = np.random.default_rng(0)
    for index in range(2):
        pixels = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f'{index}.png')
    sizes = dict(width=64, height=64)
    box = dict(bbox=[8, 8, 30, 20], area=600, iscrowd=0, segmentation=[])
    content = dict(
        images=[dict(id=i, file_name=f'{i}.png', **sizes) for i in range(2)],
        categories=[dict(id=4, name='three'), dict(id=9, name='eight')],
        annotations=[
            dict(id=i + 1, image_id=i, category_id=(4, 9)[i], **box) for i in range(2)
        ],
    )
    (root / 'coco.json').write_text(json.dumps(content))
    parent, child = root / 'lazy_parent.py', root / 'lazy_child.py'
    parent.write_text(f'ROOT = {str(root)!r}\n{DETECTOR}')
    child.write_text(CHILD.format(parent=parent.stem))
    return str(parent), str(child)


@pytest.fixture
def configs(files, tmp_path, monkeypatch):
    """Both configs, asked about from an empty folder."""
    monkeypatch.chdir(tmp_path)
    return files


@pytest.fixture(scope='module')
def run_of_child(files, tmp_path_factory):
    """The work dir of a run of the child, for all tests to read."""
    root = tmp_path_factory.mktemp('trained')
    argv = ['--work-dir', str(root / 'run'), '--cfg-options', 'visualizer.name=a']
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
        patch.setenv('LOCAL_RANK', '0')
        # Made before the test's own fixtures: a test before may have left a scope.
        patch.setattr(DefaultScope, '_instance_dict', OrderedDict())
        train.main([files[1], *argv, f'experiment_name={root.name}'])
    return root / 'run'


@pytest.fixture
def trained(configs, run_of_child, tmp_path):
    """A copy of it that may be changed."""
    return Path(shutil.copytree(run_of_child, tmp_path / 'run', symlinks=True))


def test_train_and_go_on(load_tool, configs, trained, scalars, tmp_path):
    load_tool('train').main(
        [configs[1], '--work-dir', str(trained), '--resume', '--amp', '--cfg-options']
        + ['train_cfg.max_epochs=2', f'experiment_name={tmp_path.name}2']
    )
    rates = [line['keep_prob'] for line in scalars(trained) if 'keep_prob' in line]
    assert rates[-1] == pytest.approx(0.8)
    assert (trained / 'epoch_2.pth').is_file()
    dumped = Config.fromfile(trained / 'lazy_child.py')
    reader = dumped.test_dataloader.dataset.pipeline[0]
    assert reader.type == 'LoadImageFromFile', 'inferencers look for that word'
    assert dumped.default_hooks.checkpoint.type == 'dropblock_mm.CheckpointHook'


def test_train_with_a_fragment_and_options(load_tool, configs, tmp_path):
    load_tool('train').main(
        [configs[0], '--work-dir', str(tmp_path / 'run'), '--dropblock', 'resnet_c5']
        + ['--cfg-options', 'custom_hooks.0.block_size=2', 'model.backbone.depth=18']
        + ['optim_wrapper.optimizer.lr=0.01', f'experiment_name={tmp_path.name}']
    )
    dumped = Config.fromfile(tmp_path / 'run/lazy_parent.py')
    assert [hook.type.rpartition('.')[2] for hook in dumped.custom_hooks] == [
        'DropBlockInjectionHook',
        'KeepProbScheduleHook',
    ]
    assert dumped.custom_hooks[0].block_size == 2
    assert dumped.optim_wrapper.optimizer.lr == 0.01


def test_a_fragment_may_be_one_too(load_tool, configs, tmp_path):
    fragment = tmp_path / 'lazy_fragment.py'
    fragment.write_text(
        'from dropblock_mm import DropBlockInjectionHook\n'
        'custom_hooks = [dict(type=DropBlockInjectionHook, keep_prob=0.9, block_size=3,'
        " targets=[dict(module='backbone.layer4')])]\n"
    )
    load_tool('print_sites').main([configs[0], '--dropblock', str(fragment)])
    load_tool('train').main(
        [configs[0], '--work-dir', str(tmp_path / 'run'), '--dropblock', str(fragment)]
        + ['--cfg-options', f'experiment_name={tmp_path.name}']
    )
    assert (tmp_path / 'run/epoch_1.pth').is_file()


@pytest.mark.parametrize(
    'options',
    [[], ['--tta'], ['--classwise'], ['--out', 'a.pkl'], ['--show-dir', 'painted']],
)
@pytest.mark.parametrize('which', ['the config', 'what the run dumped'])
def test_test(load_tool, configs, trained, tmp_path, which, options):
    config = configs[1] if which == 'the config' else str(trained / 'lazy_child.py')
    name = f'{tmp_path.name}_t'
    load_tool('test').main(
        [config, str(trained / 'epoch_1.pth'), '--work-dir', str(tmp_path / 'test')]
        + [*options, '--cfg-options', f'experiment_name={name}']
        + [f'visualizer.name={name}']
    )
    (result,) = (tmp_path / 'test').glob('*/*.json')
    assert 0 <= json.loads(result.read_text())['coco/bbox_mAP'] <= 1


RATES = ['--block-sizes', '1', '--keep-probs', '0.5', '1', '--seeds', '1']
# What is typed after a command; the capital words stand for files.
TYPED = {
    'masks': 'CONFIG IMAGE --input-size 64 64 --out OUT.png',
    'plot-schedule': 'CONFIG --input-size 64 64 --out OUT.png',
    'plot-training': 'RUN --out OUT.png',
    'activation-maps': '--model MODEL --limit 1 --out OUT.png',
    'robustness': f'--model MODEL {" ".join(RATES)} --out OUT.png',
    'predict': 'IMAGE --model MODEL --out-dir OUT',
    'publish': 'SAVED OUT.pth',
    'report': 'RUN --out OUT.html',
    'draw-predictions': 'CONFIG FOUND --out OUT.png',
    'compare': 'CONFIG --seeds 0 --work-dir OUT --dry-run',
    'sweep': 'CONFIG --keep-prob 0.5 1 --seeds 0 --work-dir OUT --dry-run',
}
# These have tests of their own here, or take no config.
OTHERS = {'train', 'test', 'print-sites', 'estimate-cost', 'check-dataset'}
WITHOUT = {'reproduce', 'draw-segmentation', 'draw-classes', 'voc-aug'}


def test_no_command_is_left_out():
    assert set(PROGRAMS) == {*TYPED, *OTHERS, *WITHOUT}


@pytest.fixture
def told(load_tool, configs, run_of_child, tmp_path, capsys):
    """A function that runs a command as in the table; returns what it printed."""
    found = tmp_path / 'found.json'
    found.write_text('[{"image_id":0,"category_id":4,"bbox":[5,5,9,9],"score":1}]')
    saved = run_of_child / 'epoch_1.pth'
    words = {
        'CONFIG': [configs[1]],
        'IMAGE': [str(Path(configs[1]).with_name('0.png'))],
        'RUN': [str(run_of_child)],
        'SAVED': [str(saved)],
        'FOUND': [str(found)],
    }

    def run(name, typed, by_config=False):
        pair = [configs[1], str(saved), 'name']
        words['MODEL'] = pair if by_config else words['RUN']
        argv = [each for word in typed.split() for each in words.get(word, [word])]
        with contextlib.suppress(SystemExit):  # of commands that have a status
            load_tool(name.replace('-', '_')).main(argv)
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize('name', TYPED)
def test_command(told, tmp_path, name):
    said = told(name, TYPED[name])
    if '--dry-run' in TYPED[name]:
        assert '--dropblock' in said or 'none' in said
    else:
        assert list(tmp_path.glob('OUT*'))


@pytest.mark.parametrize('name', [n for n in TYPED if 'MODEL' in TYPED[n]])
def test_model_as_a_config_and_a_checkpoint(told, tmp_path, name):
    told(name, TYPED[name], by_config=True)
    assert list(tmp_path.glob('OUT*'))


@pytest.mark.nightly
@pytest.mark.parametrize('name', ['compare', 'sweep'])
def test_series_are_trained(told, tmp_path, name):
    told(name, TYPED[name].replace(' --dry-run', ''))
    content = json.loads((tmp_path / f'OUT/{name}.json').read_text())
    assert {run['state'] for run in content['runs']} == {'finished'}


@pytest.mark.parametrize('which', [0, 1])
def test_print_sites(load_tool, configs, capsys, which):
    fragment = [] if which else ['--dropblock', 'resnet_c5']
    load_tool('print_sites').main([configs[which], *fragment])
    text = capsys.readouterr().out
    assert '6 sites' in text
    assert 'images of 64 x 64' in text
    assert ('keeps 0.8' in text) == bool(which)


@pytest.mark.parametrize('which', [0, 1])
def test_estimate_cost(load_tool, configs, tmp_path, which):
    out = tmp_path / 'cost.json'
    load_tool('estimate_cost').main(
        [configs[which], '--image-size', '64', '64', '--steps', '1', '--load', '2']
        + ['--json', str(out)]
    )
    (found,) = json.loads(out.read_text())['estimates']
    assert found['workload']['images'] == 2
    assert found['step']['sites'] == 6 * which
    assert found['loading']['images_per_second'] > 0


def test_check_dataset(load_tool, configs, tmp_path, capsys):
    check = load_tool('check_dataset').main
    argv = [configs[1], '--workers', '0']
    assert check(argv) == 0
    said = [*argv, '--cfg-options', 'train_dataloader.dataset.ann_file=no.json']
    assert check(said) == 1
    assert "train_dataloader.dataset.ann_file='no.json'" in capsys.readouterr().out


def test_class_counts_are_compared(refused, configs):
    said = refused(
        'train', configs[1], '--cfg-options', 'model.bbox_head.num_classes=1'
    )
    assert 'model.bbox_head.num_classes=1' in said


def test_weights_are_checked(refused, configs, tmp_path):
    path = tmp_path / 'weights.pth'
    path.write_text('nothing')
    config = Path(configs[1]).with_name('lazy_weights.py')
    config.write_text(
        CHILD.format(parent='lazy_parent')
        + 'from mmengine.model import PretrainedInit\n'
        + f'weights = dict(type=PretrainedInit, checkpoint={str(path)!r})\n'
        + 'model.backbone.init_cfg = weights\n'
    )
    said = refused('train', str(config))
    assert (
        f'model.backbone.init_cfg.checkpoint={str(path)!r} is not a checkpoint' in said
    )


def test_synchronized_norms_are_refused_on_cpus(refused, configs, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip('torch sees a GPU, on which norms are synchronized')
    said = refused(
        *['train', configs[1], '--launcher', 'pytorch', '--cfg-options'],
        'env_cfg.dist_cfg.backend=gloo',
    )
    assert 'model.backbone.norm_cfg.type=' in said


def test_a_typo_is_named(refused, configs):
    said = refused('train', configs[1], '--cfg-options', 'model.backbone.depht=18')
    assert "'depht'. The config has model.backbone.depht=18." in said
