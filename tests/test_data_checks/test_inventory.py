"""The inventory finds what the libraries' own data sets find."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmdet.datasets import CocoDataset, VOCDataset
from mmseg.datasets import BaseSegDataset

from dropblock_mm.data_checks.data_settings import path_flaws
from dropblock_mm.data_checks.inventory import inventory

TYPES = {'mmdet': (CocoDataset, VOCDataset), 'mmseg': (BaseSegDataset,)}


def config(dataset, scope='mmdet', loop='train'):
    return {'default_scope': scope, f'{loop}_dataloader': dict(dataset=dataset)}


def entries(dataset, scope='mmdet'):
    return inventory(config(dataset, scope), ['train']).data_sets


parts = st.sampled_from(['', 'a', 'a/', 'a/b.txt', '/c', '/c/d/', './e', '../f'])


@pytest.mark.parametrize('scope', TYPES)
@given(root=parts, ann_file=parts, folder=parts)
@settings(max_examples=60, deadline=None)
def test_paths_are_joined_as_the_libraries_join_them(scope, root, ann_file, folder):
    for kind in TYPES[scope]:
        name = 'img' if kind is CocoDataset else 'img_path'
        options = dict(
            data_root=root, ann_file=ann_file, data_prefix={name: folder}, pipeline=[]
        )
        built = kind(lazy_init=True, metainfo=dict(classes=('a',)), **options)
        (entry,) = entries(dict(type=kind.__name__, **options), scope)
        found = entry.annotations.path if entry.annotations else ''
        assert found == built.ann_file
        taken = entry.folders[name].path if name in entry.folders else ''
        assert taken == built.data_prefix[name]


def test_keys_and_values_are_those_of_the_config():
    (entry,) = entries(dict(type='CocoDataset', data_root='r', ann_file='a.json'))
    assert entry.annotations.key == 'train_dataloader.dataset.ann_file'
    assert entry.annotations.value == 'a.json'
    said = entry.annotations.problem('gone', 'Look.')
    assert said == (
        "train_dataloader.dataset.ann_file='a.json': gone ('r/a.json', joined to "
        "train_dataloader.dataset.data_root='r'). Look."
    )


def test_options_are_the_config_or_the_defaults_of_the_class():
    (entry,) = entries(dict(type='VOCDataset', ann_subdir='Boxes'))
    assert entry.options['ann_subdir'] == 'Boxes'
    assert entry.options['img_subdir'] == 'JPEGImages'
    assert entry.classes == VOCDataset.METAINFO['classes']
    assert entry.layout == entry.annotation_format == 'XMLDataset'


def test_what_pipelines_load():
    steps = [
        dict(type='LoadImageFromFile', imdecode_backend='pillow'),
        dict(type='mmdet.LoadAnnotations', with_mask=True),
        dict(type='LoadPanopticAnnotations'),
    ]
    (entry,) = entries(dict(type='CocoDataset', pipeline=steps))
    assert entry.loads == {'masks', 'label maps'}
    assert entry.steps['LoadImageFromFile']['imdecode_backend'] == 'pillow'
    assert entry.steps['LoadAnnotations']['with_mask']


def test_wrapped_data_sets_come_in_their_order():
    def leaf(name):
        return dict(type='CocoDataset', ann_file=name)

    nested = dict(
        type='ConcatDataset',
        datasets=[
            dict(type='RepeatDataset', times=2, dataset=leaf('a')),
            dict(type='ConcatDataset', datasets=[leaf('b'), leaf('c')]),
        ],
    )
    found = entries(nested)
    assert [entry.annotations.value for entry in found] == ['a', 'b', 'c']
    assert [entry.key.partition('.dataset.')[2] for entry in found] == [
        'datasets.0.dataset',
        'datasets.1.datasets.0',
        'datasets.1.datasets.1',
    ]


@pytest.mark.parametrize('one_each', [True, False])
def test_metrics_belong_to_data_sets(one_each):
    """In mmdet's evaluator of several; in all others each sees all."""
    data = [dict(type='CocoDataset', ann_file=name) for name in 'ab']
    cfg = config(dict(type='ConcatDataset', datasets=data), loop='val')
    cfg['val_evaluator'] = dict(
        type='mmdet.MultiDatasetsEvaluator' if one_each else 'Evaluator',
        metrics=[dict(type='mmdet.CocoMetric', ann_file=name) for name in 'ab'],
    )
    found = inventory(cfg, ['train', 'val'])
    owners = [
        [entry.annotations.value for entry in metric.data_sets]
        for metric in found.metrics
    ]
    assert owners == ([['a'], ['b']] if one_each else [['a', 'b'], ['a', 'b']])
    assert {metric.type for metric in found.metrics} == {'CocoMetric'}


def test_a_class_in_the_place_of_its_name():
    """As pure-Python configs have it."""
    (entry,) = entries(dict(type=CocoDataset, ann_file='a'), scope=None)
    assert entry.layout == 'CocoDataset'


def test_any_data_set_of_mmpretrain_may_name_its_folder_as_text(tmp_path):
    pytest.importorskip('mmpretrain.datasets')
    dataset = dict(type='MultiLabelDataset', data_root=str(tmp_path), data_prefix='i')
    config = dict(default_scope='mmpretrain', train_dataloader=dict(dataset=dataset))
    (entry,) = inventory(config, ['train']).data_sets
    assert entry.folders['img_path'].path == str(tmp_path / 'i')
    assert list(path_flaws(entry)) == []
