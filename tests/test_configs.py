"""Every config under configs/ builds, injects and trains one step at a small size."""

import math
import re
from pathlib import Path

import pytest
import torch
import yaml
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS, MODELS, init_default_scope

from dropblock_mm import InjectionHook, KeepProbScheduleHook
from dropblock_mm.config_files import fragment_names, resolve_config
from dropblock_mm.hooks.fragments import add_fragment
from dropblock_mm.injection import inject_targets

CONFIG_DIR = Path(__file__).resolve().parents[1] / 'configs'
CONFIGS = sorted(
    path.relative_to(CONFIG_DIR).as_posix()
    for path in CONFIG_DIR.rglob('*.py')
    if '_base_' not in path.parts
)
FRAGMENT_HOSTS = {
    'auto': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'csp_darknet': 'mmdet::yolox/yolox_tiny_8xb8-300e_coco.py',
    'cspnext': 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    'efficientnet': 'mmdet::efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco.py',
    'hrnet': 'mmseg::hrnet/fcn_hr18s_4xb2-40k_cityscapes-512x1024.py',
    'mobilenet': 'mmdet::yolo/yolov3_mobilenetv2_8xb24-320-300e_coco.py',
    'decode_head': 'mmseg::fcn/fcn_r18-d8_4xb2-80k_cityscapes-512x1024.py',
    'resnet_c4c5': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'resnet_c4c5_dropout': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'resnet_c4c5_spatial_dropout': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'resnet_c5': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'resnet_c5_drop_path': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
}
# (layer, places, sites in its host) of each fragment, and whether it is scheduled.
FRAGMENTS = {
    'auto': ('DropBlock2d', {'conv', 'shortcut'}, 36, True),
    'csp_darknet': ('DropBlock2d', {'conv', 'shortcut'}, 21, True),
    'cspnext': ('DropBlock2d', {'conv', 'shortcut'}, 17, True),
    'efficientnet': ('DropBlock2d', {'conv', 'shortcut'}, 68, True),
    'hrnet': ('DropBlock2d', {'conv', 'shortcut'}, 155, True),
    'mobilenet': ('DropBlock2d', {'conv', 'shortcut'}, 40, True),
    'decode_head': ('DropBlock2d', {'conv'}, 3, True),
    'resnet_c4c5': ('DropBlock2d', {'conv', 'shortcut'}, 36, True),
    'resnet_c4c5_dropout': ('Dropout', {'conv'}, 27, False),
    'resnet_c4c5_spatial_dropout': ('SpatialDropout', {'conv'}, 27, False),
    'resnet_c5': ('DropBlock2d', {'conv', 'shortcut'}, 12, True),
    'resnet_c5_drop_path': ('DropPath', {'branch'}, 3, True),
}


def made_small(config):
    """Drop what would be downloaded, padding to real sizes, and what needs a GPU."""
    if 'size' in config.model.get('data_preprocessor', {}):
        config.model.data_preprocessor.size = (64, 64)
    config.model.backbone.pop('init_cfg', None)
    config.model.pop('pretrained', None)
    if 'data_preprocessor' in config:  # beside the model, as mmpretrain has it
        config.model.data_preprocessor = config.data_preprocessor
    config.model.data_preprocessor.pop('batch_augments', None)
    if config.model.backbone.type == 'dropblock_mm.AmoebaNet':
        make_amoebanet_narrow(config.model)
    if config.optim_wrapper.get('type') == 'AmpOptimWrapper':
        config.optim_wrapper.type = 'OptimWrapper'
        config.optim_wrapper.pop('loss_scale', None)
        config.optim_wrapper.pop('dtype', None)
    return config


def make_amoebanet_narrow(model):
    """One that is filled in a moment; all of its cells stay, which targets name."""
    model.backbone.base_channels = 8
    model.head.in_channels = 16 * 8
    model.head.auxiliary.update(in_channels=8 * 8, image_size=96)


def fake_batch(config, size=64):
    """Two random images with annotations, packed as the model's library does."""
    if config.default_scope == 'mmdet':
        from mmdet.testing import demo_mm_inputs

        return demo_mm_inputs(
            2,
            [[3, size, size]] * 2,
            num_items=[2, 1],
            num_classes=3,
            with_mask='mask_head' in config.model.get('roi_head', {}),
            device='cpu',
        )
    images = torch.randint(0, 255, (2, 3, size, size)).to(torch.uint8)
    if config.default_scope == 'mmpretrain':
        from mmpretrain.structures import DataSample

        samples = [DataSample().set_gt_label(label) for label in (0, 1)]
        return {'inputs': images, 'data_samples': samples}
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    labels = PixelData(data=torch.randint(0, 3, (1, size, size)))
    samples = [SegDataSample(gt_sem_seg=labels, metainfo={}) for _ in range(2)]
    return {'inputs': list(images), 'data_samples': samples}


def train_one_step(config):
    """Build model, hooks and optimizer; train a step at the schedule's last rate."""
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model).train()
    ours = [h for h in config.get('custom_hooks', []) if 'dropblock_mm' in h.type]
    hooks = [HOOKS.build(hook) for hook in ours]
    injections = [h for h in hooks if isinstance(h, InjectionHook)]
    schedules = [h for h in hooks if isinstance(h, KeepProbScheduleHook)]
    assert len(schedules) <= len(injections) <= 1
    for hook in injections:
        hook.look_at(model)
    sites = [s for hook in injections for s in inject_targets(model, hook.targets)]
    for site in sites:
        for schedule in schedules:
            # A branch of an image is a single unit: few, so many have to go.
            few = type(site.layer).__name__ == 'DropPath'
            site.layer.set_keep_prob(0.1 if few else schedule.keep_prob)
    # The auxiliary classifier of AmoebaNet pools maps of five units at least.
    auxiliary = config.model.get('head', {}).get('auxiliary') or {}
    losses = model.train_step(
        fake_batch(config, auxiliary.get('image_size', 64)),
        build_optim_wrapper(model, config.optim_wrapper),
    )
    return sites, losses


def fragment_path(name):
    return CONFIG_DIR / '_base_' / 'dropblock' / f'{name}.py'


def test_there_are_configs():
    assert 'demo/retinanet_r18_fpn_dropblock_digit-scenes.py' in CONFIGS


@pytest.mark.parametrize('name', CONFIGS)
def test_config_trains_a_step(name):
    config = made_small(Config.fromfile(CONFIG_DIR / name))
    sites, losses = train_one_step(config)
    assert math.isfinite(losses['loss'])
    dropping = ('dropblock', 'dropout', 'drop-path')
    assert bool(sites) == any(n in name for n in dropping), 'the name tells who drops'
    assert all(site.layer.seen_units > 0 for site in sites)
    dropped = [s for s in sites if s.layer.kept_units < s.layer.seen_units]
    assert dropped or not sites


@pytest.mark.parametrize('name', CONFIGS)
def test_config_says_what_it_is(name):
    docstring = (CONFIG_DIR / name).read_text().split('"""')[1]
    assert 'tools/train.py' in docstring, 'the command is missing'
    assert 'minutes' in docstring or 'GPU hours' in docstring, 'the cost is missing'


def epochs_of(config):
    """How often a training sees its images, repetitions within an epoch included."""
    dataset = config.train_dataloader.dataset
    return config.train_cfg.max_epochs * dataset.get('times', 1)


def batch_size_of(config, name):
    """Over all GPUs, as the name says, or else the scaling of the learning rate."""
    named = re.search(r'_(\d+)xb(\d+)', name)
    if named:
        return int(named[1]) * int(named[2])
    scaling = config.get('auto_scale_lr') or {}
    return scaling.get('base_batch_size', config.train_dataloader.batch_size)


@pytest.mark.parametrize('folder', sorted({Path(name).parent for name in CONFIGS}))
def test_the_folder_lists_its_configs(folder):
    folder = CONFIG_DIR / folder
    links = re.findall(r'\]\((\w[^)/]*\.py)\)', (folder / 'README.md').read_text())
    assert sorted(links) == sorted(path.name for path in folder.glob('*.py'))
    content = yaml.safe_load((folder / 'metafile.yml').read_text())
    (collection,) = content['Collections']
    assert CONFIG_DIR.parent / collection['README'] == folder / 'README.md'
    models = {model['Name']: model for model in content['Models']}
    assert sorted(models) == sorted(Path(link).stem for link in links)
    for name, model in models.items():
        path = folder / f'{name}.py'
        config = Config.fromfile(path)
        assert CONFIG_DIR.parent / model['Config'] == path
        assert model['In Collection'] == collection['Name']
        facts = model['Metadata']
        assert facts['Epochs'] == epochs_of(config)
        batch_size = batch_size_of(config, name)
        assert facts.get('Batch Size', batch_size) == batch_size


def test_mims_index_lists_every_folder():
    root = CONFIG_DIR.parent
    index = yaml.safe_load((root / 'model-index.yml').read_text())['Import']
    files = CONFIG_DIR.glob('*/metafile.yml')
    assert index == sorted(str(path.relative_to(root)) for path in files)


def test_every_fragment_has_a_host():
    assert set(fragment_names()) == set(FRAGMENT_HOSTS)


# Where its hosts are large; test_auto.py looks at the sites of all.
NIGHTLY = ('auto', 'csp_darknet', 'cspnext', 'efficientnet', 'hrnet')


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=pytest.mark.nightly) if name in NIGHTLY else name
        for name in sorted(FRAGMENT_HOSTS)
    ],
)
def test_fragment_trains_a_step_of_a_stock_config(name):
    stock = Config.fromfile(resolve_config(FRAGMENT_HOSTS[name]))
    config = add_fragment(made_small(stock), name)
    sites, losses = train_one_step(config)
    assert math.isfinite(losses['loss'])
    # Stages that the stock config freezes are none of the fragments' targets.
    assert all(site.layer.seen_units > 0 for site in sites)
    layer, kinds, number, is_scheduled = FRAGMENTS[name]
    assert {type(site.layer).__name__ for site in sites} == {layer}
    assert {site.place.kind for site in sites} == kinds
    assert len(sites) == number
    assert all((s.layer.final_keep_prob is None) == is_scheduled for s in sites)


# The hosts of the two have hooks of their own, which a second base may not set.
@pytest.mark.parametrize('name', sorted({*FRAGMENT_HOSTS} - {'cspnext', 'csp_darknet'}))
def test_fragment_is_a_base_file(name, tmp_path):
    child = tmp_path / 'child.py'
    child.write_text(
        '_base_ = ['
        f'{resolve_config(FRAGMENT_HOSTS[name])!r}, '
        f'{str(fragment_path(name))!r}]\n'
    )
    config = Config.fromfile(child)
    types = [hook['type'] for hook in config.custom_hooks]
    layer, _, _, is_scheduled = FRAGMENTS[name]
    kind = 'DropBlock' if layer == 'DropBlock2d' else ''
    schedules = ['dropblock_mm.KeepProbScheduleHook'] if is_scheduled else []
    assert types == [f'dropblock_mm.{kind}InjectionHook', *schedules]


@pytest.mark.parametrize(
    ('name', 'keep_prob'),
    [('resnet_c4c5_dropout', 0.7), ('resnet_c4c5_spatial_dropout', 0.9)],
)
def test_a_baseline_has_a_quarter_of_the_rate_in_group_3(name, keep_prob):
    (hook,) = Config.fromfile(resolve_config(str(fragment_path(name)))).custom_hooks
    layers = [target.build() for target in HOOKS.build(hook).targets]
    rates = [layer.expected_keep_rate(keep_prob, (7, 7)) for layer in layers]
    assert rates == pytest.approx([1 - (1 - keep_prob) / 4, keep_prob])
    assert {layer.final_keep_prob for layer in layers} == {keep_prob}
