"""The worked examples of docs/en/own_detector.md, and what the page says of them.

That they train is in test_configs.py and test_tools/test_stock_configs_train.py.
"""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import HOOKS

from dropblock_mm import expected_keep_rate, seed_rate
from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.analysis.sites.stock_models import builder, without
from dropblock_mm.config_files import config_path, resolve_config
from dropblock_mm.injection import inject_targets

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / 'docs/en/own_detector.md'
EXAMPLES = {
    'faster_rcnn': 'faster-rcnn_r50_fpn_dropblock-keep90-block7_ms-3x_coco.py',
    'mask_rcnn': 'mask-rcnn_r50-scratch_fpn_gn-all_dropblock-keep90-block7_6x_coco.py',
    'atss': 'atss_r50_fpn_dropblock-keep90-block7_8xb8-amp-lsj-200e_coco.py',
    'rtmdet': 'rtmdet_l_dropblock-keep90-block7_8xb32-300e_coco.py',
}


def load(path):
    """A config as a dict; MMEngine notes in it where what was inherited is from."""
    return without(Config.fromfile(path).to_dict(), ('_scope_',))


@pytest.mark.parametrize(('folder', 'name'), EXAMPLES.items())
def test_two_hooks_are_the_only_difference(folder, name):
    config = load(config_path(f'{folder}/{name}'))
    folder = 'scratch' if 'scratch' in name else folder
    stock = name.replace('_dropblock-keep90-block7', '')
    base = load(resolve_config(f'mmdet::{folder}/{stock}'))
    hooks, kept = config.pop('custom_hooks'), base.pop('custom_hooks', [])
    assert config == base
    assert hooks[:-2] == kept
    assert [hook['type'] for hook in hooks[-2:]] == [
        'dropblock_mm.DropBlockInjectionHook',
        'dropblock_mm.KeepProbScheduleHook',
    ]


@pytest.mark.parametrize(('folder', 'name'), EXAMPLES.items())
def test_the_page_knows_the_number_of_sites(folder, name):
    cfg = Config.fromfile(config_path(f'{folder}/{name}'))
    model = build_on_meta(builder('mmdet', cfg.model))
    (hook,) = [h for h in cfg.custom_hooks if 'Injection' in h['type']]
    sites = inject_targets(model, HOOKS.build(hook).targets)
    assert f'| {len(sites)} | `{folder}/{name}` |' in PAGE.read_text()


@pytest.mark.parametrize('folder', ['faster_rcnn', 'rtmdet'])
def test_the_page_shows_what_the_config_is(folder):
    text = Path(config_path(f'{folder}/{EXAMPLES[folder]}')).read_text()
    body = text.rpartition('"""')[2].strip()
    assert f'```python\n{body}\n```' in PAGE.read_text()


def test_the_page_shows_what_is_printed():
    """The lines of RTMDet's sites, and the shares of the map that a block covers."""
    text = PAGE.read_text()
    for size, stride, scale in (((40, 40), 16, 0.25), ((20, 20), 32, 1)):
        gamma = seed_rate(
            keep_prob=0.9, block_size=7, feature_size=size, gamma_scale=scale
        )
        keeps = expected_keep_rate(
            keep_prob=0.9, block_size=7, feature_size=size, gamma_scale=scale
        )
        height, width = size
        scaled = '' if scale == 1 else f'gamma_scale {scale}  '
        place = f'{height} x {width}  block_size 7  {scaled}'
        line = f'{place}gamma {gamma:.3g}  keeps {keeps:.4f}'
        assert line in text
        assert height * stride == 640


def test_the_example_with_hooks_of_its_own_has_some():
    hooks = load(config_path(f'rtmdet/{EXAMPLES["rtmdet"]}'))['custom_hooks']
    assert [hook['type'] for hook in hooks[:-2]] == ['EMAHook', 'PipelineSwitchHook']
