"""The worked examples of docs/en/own_detector.md, and what the page says of them.

That they train is in test_configs.py and test_tools/test_stock_configs_train.py.
"""

from pathlib import Path

import pytest
from mmengine.config import Config

from dropblock_mm.config_files import config_path, resolve_config
from dropblock_mm.testing.stock_models import without

ROOT = Path(__file__).resolve().parents[1]
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


def test_the_example_with_hooks_of_its_own_has_some():
    hooks = load(config_path(f'rtmdet/{EXAMPLES["rtmdet"]}'))['custom_hooks']
    assert [hook['type'] for hook in hooks[:-2]] == ['EMAHook', 'PipelineSwitchHook']
