import json

import pytest

from dropblock_mm.data_checks.agreement import disagreements
from dropblock_mm.data_checks.inventory import inventory
from dropblock_mm.data_checks.layouts import Look, layout_of


def config(model, classes=('a', 'b', 'c'), **dataset):
    dataset = dict(type='CocoDataset', metainfo=dict(classes=classes)) | dataset
    loaders = {f'{loop}_dataloader': dict(dataset=dataset) for loop in ('train', 'val')}
    return dict(default_scope='mmdet', model=model, **loaders)


def problems(cfg, loop):
    """What disagrees; of the files, only the ids of images are read."""
    found = inventory(cfg, [loop])
    looks = [
        Look((), image_ids=layout_of(entry).image_ids(entry, 10**6))
        for entry in found.data_sets
    ]
    return list(disagreements(found, looks, 10**6))


@pytest.mark.parametrize(
    ('model', 'keys'),
    [
        (dict(bbox_head=dict(num_classes=3)), []),
        (dict(bbox_head=dict(num_classes=80)), []),
        (dict(bbox_head=dict(num_classes=2)), ['model.bbox_head']),
        (
            dict(
                rpn_head=dict(num_classes=1),
                roi_head=dict(
                    bbox_head=[dict(num_classes=2), dict(num_classes=3)],
                    mask_head=dict(num_classes=1),
                ),
            ),
            ['model.roi_head.bbox_head.0', 'model.roi_head.mask_head'],
        ),
        (dict(auxiliary_head=[dict(type='STDCHead', num_classes=2)]), []),
        (dict(), []),
    ],
)
def test_heads_need_an_output_for_each_class(model, keys):
    said = problems(config(model), 'train')
    assert [problem.partition('.num_classes=')[0] for problem in said] == keys
    assert all('has 3 classes (a, b, c' in problem for problem in said)


def test_classes_of_other_kinds_are_left_alone():
    """Panoptic data have things and stuff, which the heads count differently."""
    cfg = config(dict(bbox_head=dict(num_classes=2)), type='CocoPanopticDataset')
    assert problems(cfg, 'train') == []


def test_segmentation_heads():
    cfg = config(dict(decode_head=dict(num_classes=2)), type='BaseSegDataset')
    assert len(problems(cfg | dict(default_scope='mmseg'), 'val')) == 1


@pytest.mark.parametrize(('ids', 'missing'), [([1, 2, 3], 0), ([1], 1), ([7, 8], 2)])
def test_evaluators_know_the_images(tmp_path, ids, missing):
    """pycocotools would say 'Results do not correspond to current coco set'."""
    for name, found in (('own', [1, 2]), ('other', ids)):
        images = [dict(id=number) for number in found]
        box = dict(id=1, category_id=1, bbox=[1, 1, 5, 5], area=25, iscrowd=0)
        content = dict(
            images=[
                entry | dict(file_name=f'{entry["id"]}.jpg', width=9, height=9)
                for entry in images
            ],
            annotations=[box | dict(image_id=found[0])],
            categories=[dict(id=i, name=n) for i, n in enumerate('abc', 1)],
        )
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    cfg = config({}, data_root=str(tmp_path), ann_file='own.json')
    cfg['val_evaluator'] = dict(type='CocoMetric', ann_file=f'{tmp_path}/other.json')
    said = problems(cfg, 'val')
    assert len(said) == bool(missing)
    assert all(f'{missing} images of val_dataloader' in text for text in said)


def weighted(weights, **head):
    losses = [
        dict(type='CrossEntropyLoss', class_weight=weights),
        dict(type='DiceLoss'),
    ]
    return dict(decode_head=dict(num_classes=4, loss_decode=losses) | head)


@pytest.mark.parametrize('weights', [None, [1.0] * 4, [1.0] * 5, 1.0, 'weights.npy'])
def test_weights_of_all_classes_are_right(weights):
    assert problems(config(weighted(weights)), 'train') == []


@pytest.mark.parametrize('weights', [[], [1.0] * 3, (1.0,) * 19])
def test_weights_of_other_classes_are_refused_before_training(weights):
    (told,) = problems(config(weighted(weights)), 'train')
    key = 'model.decode_head.loss_decode.0.class_weight'
    assert told.startswith(
        f'{key} has {len(weights)} weights: model.decode_head.num_cl'
    )


def test_weights_do_not_matter_where_nothing_is_trained():
    assert problems(config(weighted([1.0])), 'val') == []


def test_weights_are_those_of_the_outputs():
    model = weighted([1.0, 2.0], num_classes=4, out_channels=2)
    assert problems(config(model), 'train') == []
