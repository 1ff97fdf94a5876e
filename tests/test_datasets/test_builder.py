"""Configs build on the scenes as if these had been there."""

import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import DefaultScope

from dropblock_mm.registry import DATASETS

METAINFO = {'classes': tuple('0123456789')}


def build(dataset: dict, root, settings: dict):
    return MMENGINE_DATASETS.build(
        {
            'type': 'dropblock_mm.DigitScenes',
            'root': str(root),
            'dataset': dataset,
            **settings,
        }
    )


def test_makes_the_scenes_and_returns_the_inner_data_set(tmp_path, settings):
    pytest.importorskip('sklearn')
    root = tmp_path / 'new'
    found = []

    def remember(folder):
        found.extend(path.name for path in folder.iterdir())
        return BaseDataset(lazy_init=True)

    MMENGINE_DATASETS.register_module(name='Remember', module=remember, force=True)
    try:
        dataset = build({'type': 'Remember', 'folder': root}, root, settings)
    finally:
        del MMENGINE_DATASETS._module_dict['Remember']
    assert type(dataset) is BaseDataset
    assert 'manifest.json' in found


def test_bad_settings_reach_the_user(tmp_path, settings):
    with pytest.raises(Exception, match='num_train=0 '):
        build({'type': 'BaseDataset'}, tmp_path, {**settings, 'num_train': 0})


def test_name_is_registered():
    assert DATASETS.get('DigitScenes') is not None


def test_mmdet_reads_the_coco_layout(scenes, settings):
    pytest.importorskip('mmdet.datasets')
    inner = {
        'type': 'CocoDataset',
        'data_root': str(scenes),
        'metainfo': METAINFO,
        'ann_file': 'annotations/instances_train.json',
        'data_prefix': {'img': 'JPEGImages/'},
        'pipeline': [
            {'type': 'LoadImageFromFile'},
            {'type': 'LoadAnnotations', 'with_bbox': True, 'with_mask': True},
        ],
    }
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = build(inner, scenes, settings)
    assert len(dataset) == settings['num_train']
    for sample in (dataset[index] for index in range(len(dataset))):
        assert sample['img'].shape == (96, 96, 3)
        assert len(sample['gt_bboxes']) == len(sample['gt_masks']) > 0
        around_masks = sample['gt_masks'].get_bboxes('hbox').tensor
        assert torch.equal(around_masks, sample['gt_bboxes'].tensor)


def test_mmseg_reads_the_voc_layout(scenes, settings):
    pytest.importorskip('mmseg.datasets')
    inner = {
        'type': 'BaseSegDataset',
        'data_root': str(scenes),
        'metainfo': {'classes': ('background', *METAINFO['classes'])},
        'ann_file': 'ImageSets/Segmentation/val.txt',
        'data_prefix': {
            'img_path': 'JPEGImages',
            'seg_map_path': 'SegmentationClass',
        },
        'img_suffix': '.jpg',
        'seg_map_suffix': '.png',
        'pipeline': [
            {'type': 'LoadImageFromFile'},
            {'type': 'LoadAnnotations'},
        ],
    }
    with DefaultScope.overwrite_default_scope('mmseg'):
        dataset = build(inner, scenes, settings)
    assert len(dataset) == settings['num_val']
    labels = [np.unique(dataset[index]['gt_seg_map']) for index in range(len(dataset))]
    assert set(np.concatenate(labels)) <= {*range(11), 255}
    assert all({0, 255} < set(found) for found in labels)
