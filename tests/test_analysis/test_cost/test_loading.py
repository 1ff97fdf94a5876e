"""How fast a core makes images ready."""

import pytest
from mmengine.registry import init_default_scope

from dropblock_mm.config_files import config_path

SCRATCH = config_path('retinanet/retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py')


@pytest.fixture
def loading(part):
    return part('loading')


def test_loading_takes_images_of_another_folder(loading, shared_data, load):
    init_default_scope('mmdet')
    cfg = load(SCRATCH)
    found = loading.measure(cfg, 3, f'{shared_data / "coco_tiny"}/')
    assert found.size == (640, 640)
    assert found.images_per_second > 0


def test_every_data_set_gets_the_folder(loading):
    inner = dict(data_root='a', pipeline=[dict(type='Pad', size=(4, 4))])
    wrapped = dict(times=2, dataset=dict(datasets=[inner, dict(type='Other')]))
    found = loading.rooted(wrapped, 'b')
    first, second = found['dataset']['datasets']
    assert first == dict(inner, data_root='b')
    assert second == dict(type='Other')
    assert loading.rooted(wrapped, None) == wrapped
