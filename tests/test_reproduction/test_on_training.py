"""The test that has training images."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config

from dropblock_mm.reproduction.on_training import (
    on_training,
    some_images,
    write_annotations,
)

COCO = dict(
    images=[dict(id=i, file_name=f'{i}.jpg') for i in range(6)],
    annotations=[dict(id=i, image_id=i, category_id=1) for i in (1, 2, 4, 5)],
    categories=[dict(id=1, name='a')],
)


def config(metric, **train):
    dataset = dict(type='CocoDataset', data_root='', pipeline=['train'], **train)
    val = dict(type='CocoDataset', ann_file='v.json', pipeline=['val'], test_mode=True)
    return Config(
        dict(
            train_dataloader=dict(batch_size=9, dataset=dict(dataset=dataset, times=3)),
            val_dataloader=dict(batch_size=1, dataset=val),
            val_evaluator=metric,
        )
    )


def test_training_images_take_the_pipeline_of_validation(tmp_path):
    cfg = config([dict(type='Accuracy')], ann_file='t.txt')
    changed = on_training(cfg, 7, tmp_path)
    few = changed.test_dataloader.dataset
    assert (few.type, few.number) == ('dropblock_mm.FewImages', 7)
    assert few.dataset == dict(
        type='CocoDataset',
        data_root='',
        pipeline=['val'],
        ann_file='t.txt',
        test_mode=True,
    )
    assert changed.test_dataloader.batch_size == 1
    assert changed.train_dataloader == cfg.train_dataloader
    assert cfg.train_dataloader.dataset.dataset.pipeline == ['train']


def test_images_that_training_leaves_out_are_no_training_images(tmp_path):
    path = tmp_path / 't.json'
    path.write_text(json.dumps(COCO))
    cfg = config([dict(type='CocoMetric', ann_file='v.json')], ann_file=str(path))
    part = dict(type='FewImages', number=3, others=True)
    cfg.train_dataloader.dataset = {**part, 'dataset': cfg.train_dataloader.dataset}
    changed = on_training(cfg, 2, tmp_path)
    few = changed.test_dataloader.dataset
    assert (few.number, few.dataset.number, few.dataset.others) == (2, 3, True)
    assert few.dataset.dataset.type == 'CocoDataset'
    write_annotations(cfg, 2, tmp_path)
    content = json.loads(Path(few.dataset.dataset.ann_file).read_text())
    assert [image['id'] for image in content['images']] == [1, 3]  # of 1, 3 and 5


def test_voc_data_sets_are_asked_for_no_smallest_box(tmp_path):
    filters = dict(filter_empty_gt=True, bbox_min_size=1)
    cfg = config(dict(type='VOCMetric'), ann_file='t.txt', filter_cfg=filters)
    dataset = on_training(cfg, 2, tmp_path).test_dataloader.dataset.dataset
    assert dataset.filter_cfg == dict(filter_empty_gt=True)
    assert cfg.train_dataloader.dataset.dataset.filter_cfg == filters


def test_annotations_are_cut_to_what_the_evaluator_is_to_find(tmp_path):
    path = tmp_path / 't.json'
    path.write_text(json.dumps(COCO))
    cfg = config(
        dict(type='CocoMetric', ann_file='v.json'),
        ann_file=str(path),
        data_prefix=dict(img='images/'),
        filter_cfg=dict(filter_empty_gt=True),
    )
    changed = on_training(cfg, 2, tmp_path)
    write_annotations(cfg, 2, tmp_path)
    dataset = changed.test_dataloader.dataset.dataset
    assert dataset.ann_file == changed.test_evaluator.ann_file
    assert dataset.data_prefix.img == 'images/'
    content = json.loads(Path(dataset.ann_file).read_text())
    assert [image['id'] for image in content['images']] == [1, 4]
    assert [note['id'] for note in content['annotations']] == [1, 4]
    assert content['categories'] == COCO['categories']


def test_a_part_that_was_trained_on_is_what_is_taken_from():
    ids = lambda **kw: [i['id'] for i in some_images(COCO, 9, **kw)['images']]  # noqa: E731
    assert ids(nonempty=False) == [0, 1, 2, 3, 4, 5]
    assert ids(nonempty=True, part=2) == [1, 2]
    assert ids(nonempty=True, part=[3, 0]) == [5, 1]


def test_annotations_of_a_format_that_is_not_known_are_refused(tmp_path, refusal):
    cfg = config(dict(type='LVISMetric', ann_file='v.json'), ann_file='t.json')
    with pytest.raises(refusal, match='Add --gap-images 0'):
        on_training(cfg, 2, tmp_path)
