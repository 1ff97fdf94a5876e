"""That the libraries do what the checks say, and that the advice mends it."""

import copy
import json

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.evaluation import CocoMetric

from dropblock_mm.data_checks.annotations import coco_kinds as coco
from dropblock_mm.data_checks.annotations import coco_problems, tally
from dropblock_mm.data_checks.annotations.coco_boxes import Use
from dropblock_mm.data_checks.annotations.coco_values import (
    NO_ISCROWD,
    crowd_problems,
)
from dropblock_mm.data_checks.annotations.masks import NO_MASK, POINTS

CLASSES = ('cat', 'dog', 'emu')


def content(order=(0, 1, 2)):
    """An image of each class; categories in any order."""
    images = [dict(id=i, file_name=f'{i}.jpg', width=64, height=64) for i in range(3)]
    annotations = [
        dict(
            id=i + 1,
            image_id=i,
            category_id=i + 1,
            bbox=[5 * i, 8, 30, 40],
            area=1200,
            iscrowd=0,
            segmentation=[[5 * i, 8, 5 * i + 30, 8, 5 * i + 30, 48]],
        )
        for i in range(3)
    ]
    categories = [dict(id=i + 1, name=CLASSES[i]) for i in order]
    return dict(images=images, annotations=annotations, categories=categories)


def average_precision(path, found, classes=CLASSES):
    """Of a detector that learned cat, dog and emu as 0, 1, 2 and errs never."""
    path.write_text(json.dumps(found))
    metric = CocoMetric(ann_file=str(path), metric='bbox')
    metric.dataset_meta = dict(classes=classes)
    for annotation in found['annotations']:
        x, y, width, height = annotation['bbox']
        named = {entry['id']: entry['name'] for entry in content()['categories']}
        sample = dict(
            img_id=annotation['image_id'],
            ori_shape=(64, 64),
            pred_instances=dict(
                bboxes=torch.tensor([[x, y, x + width, y + height]]),
                scores=torch.tensor([0.9]),
                labels=torch.tensor([CLASSES.index(named[annotation['category_id']])]),
            ),
        )
        metric.process({}, [sample])
    return metric.evaluate(size=3)['coco/bbox_mAP']


def kinds(found, **options):
    return [f.kind for f in tally(coco_problems(found, CLASSES, Use(**options)))]


def test_categories_in_the_order_of_the_classes(tmp_path):
    """The advice of OTHER_ORDER is right; to follow the file's order is not."""
    wrong = content(order=(1, 2, 0))
    assert kinds(wrong, evaluates=True) == [coco.OTHER_ORDER]
    for classes in (CLASSES, ('dog', 'emu', 'cat')):
        assert average_precision(tmp_path / 'a.json', wrong, classes) == 0
    mended = copy.deepcopy(wrong)
    mended['categories'].sort(key=lambda entry: CLASSES.index(entry['name']))
    assert kinds(mended, evaluates=True) == []
    assert average_precision(tmp_path / 'b.json', mended) == 1


def test_a_class_that_the_evaluation_file_lacks(tmp_path):
    lacking = content(order=(0, 1))
    lacking['annotations'].pop()
    assert coco.MISSING_IN_EVALUATION in kinds(lacking, evaluates=True)
    assert coco.MISSING_IN_EVALUATION not in kinds(lacking)
    found = content()
    found['categories'].pop()
    with pytest.raises(IndexError):
        average_precision(tmp_path / 'a.json', found)
    lacking['categories'] = content()['categories']
    assert coco.MISSING_IN_EVALUATION not in kinds(lacking, evaluates=True)
    assert average_precision(tmp_path / 'b.json', lacking) == 1


def test_iscrowd(tmp_path):
    found = content()
    del found['annotations'][0]['iscrowd']
    assert [kind for kind, _ in crowd_problems(found)] == [NO_ISCROWD]
    with pytest.raises(KeyError, match='iscrowd'):
        average_precision(tmp_path / 'a.json', found)
    found['annotations'][0]['iscrowd'] = 0
    assert list(crowd_problems(found)) == []
    assert average_precision(tmp_path / 'b.json', found) == 1


def load_masks(tmp_path, found):
    """Let mmdet load the first image's masks; the flags of those that it ignores."""
    (tmp_path / 'a.json').write_text(json.dumps(found))
    dataset = CocoDataset(
        ann_file=str(tmp_path / 'a.json'),
        metainfo=dict(classes=CLASSES),
        data_prefix=dict(img=''),
    )
    info = dataset.get_data_info(0) | dict(ori_shape=(64, 64))
    step = LoadAnnotations(with_mask=True)
    return step(info)['gt_ignore_flags'].tolist()


@pytest.mark.parametrize('empty', [[], None])
def test_objects_without_a_mask(tmp_path, empty):
    found = content()
    found['annotations'][0]['segmentation'] = empty
    assert kinds(found, masks=True) == [NO_MASK]
    with pytest.raises(KeyError, match='mask'):
        load_masks(tmp_path, found)


def test_polygons_of_points(tmp_path):
    """They are ignored; as one flat list, as advised, they are learned."""
    found = content()
    assert load_masks(tmp_path, found) == [False]
    flat = np.array(found['annotations'][0]['segmentation'][0])
    found['annotations'][0]['segmentation'] = flat.reshape(-1, 2).tolist()
    assert kinds(found, masks=True) == [POINTS]
    assert load_masks(tmp_path, found) == [True]
    found['annotations'][0]['segmentation'] = [flat.tolist()]
    assert kinds(found, masks=True) == []
    assert load_masks(tmp_path, found) == [False]
