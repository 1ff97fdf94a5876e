"""What is found in annotation files, and that the libraries take them as we say."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropblock_mm.data_checks.annotations import (
    BoxKinds,
    VocNames,
    coco_problems,
    tally,
    voc,
    voc_problems,
    warning,
)
from dropblock_mm.data_checks.annotations import coco_kinds as coco

CLASSES = ('cat', 'dog')


def box(number, bbox, **changes):
    area = bbox[2] * bbox[3]
    return dict(id=number, image_id=1, category_id=1, bbox=bbox, area=area) | changes


def content(*annotations, **changes):
    """A COCO file with two images of 40 x 30 and two categories."""
    images = [dict(id=i, file_name=f'{i}.jpg', width=40, height=30) for i in (1, 2)]
    categories = [dict(id=i, name=n) for i, n in enumerate(CLASSES, 1)]
    sound = [box(1, [0, 0, 9, 9]), box(2, [0, 0, 9, 9], image_id=2, category_id=2)]
    return {
        'images': images,
        'categories': categories,
        'annotations': [*sound, *annotations],
    } | changes


def kinds(problems):
    return {finding.kind: finding.count for finding in tally(problems)}


def test_sound_files_have_no_problems():
    assert kinds(coco_problems(content(), CLASSES)) == {}
    assert kinds(coco_problems(content(), None)) == {}


BOXES = [
    (dict(bbox=[5, 5, 0, 9]), coco.NO_AREA),
    (dict(bbox=[5, 5, 9, -2]), coco.NO_AREA),
    (dict(bbox=[5, 5, 0.5, 9]), coco.NO_AREA),
    (dict(bbox=[5, 5, 9, 9], area=0), coco.NO_AREA),
    (dict(bbox=[40, 5, 9, 9]), coco.OUTSIDE),
    (dict(bbox=[-9, 5, 9, 9]), coco.OUTSIDE),
    (dict(bbox=[5, 5, 9, 9], category_id=7), coco.UNKNOWN_CATEGORY),
    (dict(bbox=[5, 5, 9, 9], image_id=7), coco.UNKNOWN_IMAGE),
]
KEPT_BOXES = [
    (dict(bbox=[35, 5, 9, 9]), coco.STICKS_OUT),
    (dict(bbox=[-3, -3, 9, 9]), coco.STICKS_OUT),
    (dict(bbox=[5, 5, 9, 9], iscrowd=1), coco.CROWD),
]


@pytest.mark.parametrize(('change', 'kind'), BOXES + KEPT_BOXES)
def test_coco_boxes(change, kind, tmp_path):
    """Counted, and what we call left out CocoDataset leaves out."""
    from mmdet.datasets import CocoDataset

    found = content(box(3, **{'bbox': [5, 5, 9, 9]} | change))
    assert kinds(coco_problems(found, CLASSES)) == {kind: 1}
    path = tmp_path / 'a.json'
    path.write_text(json.dumps(found))
    dataset = CocoDataset(
        ann_file=str(path), metainfo=dict(classes=CLASSES), data_prefix=dict(img='')
    )
    kept = sum(len(dataset.get_data_info(i)['instances']) for i in range(2))
    assert kept == (2 if 'left out' in kind.remedy else 3)


number = st.integers(-50, 50) | st.floats(-50, 50)


@given(st.lists(st.tuples(number, number, number, number), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_what_coco_leaves_out(boxes):
    """Whatever the boxes, as many are counted as left out as CocoDataset leaves out."""
    from mmdet.datasets import CocoDataset

    found = content(*(box(i, list(bbox)) for i, bbox in enumerate(boxes, 3)))
    left_out = [k for k, _ in coco_problems(found, CLASSES) if 'left out' in k.remedy]
    dataset = CocoDataset(
        metainfo=dict(classes=CLASSES), data_prefix=dict(img=''), lazy_init=True
    )
    dataset.cat_ids, dataset.cat2label = [1, 2], {1: 0, 2: 1}
    image = found['images'][0] | dict(img_id=1)
    parsed = dataset.parse_data_info(
        dict(raw_img_info=image, raw_ann_info=found['annotations'][2:])
    )
    assert len(parsed['instances']) == len(boxes) - len(left_out)


def test_boxes_may_leave_their_image_by_a_pixel():
    found = content(box(3, [-1, -0.5, 9, 9]), box(4, [30, 20, 11, 10.7]))
    assert kinds(coco_problems(found, CLASSES)) == {}


@pytest.mark.parametrize(
    'bbox', [[1, 2, 3], [1, 2, 3, math.nan], 'abcd', [1, 2, 3, '4']]
)
def test_coco_bad_boxes(bbox):
    found = content(box(3, [0, 0, 1, 1]) | dict(bbox=bbox))
    assert kinds(coco_problems(found, CLASSES)) == {coco.NOT_A_BOX: 1}


@pytest.mark.parametrize('part', ['images', 'annotations', 'categories'])
def test_coco_ids(part):
    found = content()
    found[part] += [dict(found[part][0])]
    problems = kinds(coco_problems(found, CLASSES))
    assert problems[coco.SAME_ID[part]] == 1
    del found[part][-1]['id']
    problems = kinds(coco_problems(found, CLASSES))
    assert problems == {coco.INCOMPLETE[part]: 1}


def test_annotation_ids_start_at_one():
    found = content(box(0, [0, 0, 9, 9]))
    assert kinds(coco_problems(found, CLASSES)) == {coco.ID_ZERO: 1}


def test_coco_unused_entries():
    found = content(annotations=[box(1, [0, 0, 9, 9])])
    assert kinds(coco_problems(found, CLASSES)) == {
        coco.NO_INSTANCES: 1,
        coco.NO_ANNOTATIONS: 1,
    }


def test_coco_names_twice():
    found = content()
    found['images'][1]['file_name'] = '1.jpg'
    found['categories'].append(dict(id=3, name='cat'))
    problems = kinds(coco_problems(found, None))
    assert problems[coco.SAME_NAME] == problems[coco.SAME_FILE] == 1


@pytest.mark.parametrize(
    ('classes', 'expected'),
    [
        (('cat',), {coco.NOT_A_CLASS: 1}),
        (('cat', 'dog', 'cow'), {coco.NO_SUCH_CATEGORY_IN_FILE: 1}),
        (('dog', 'cat'), {coco.OTHER_ORDER: 2}),
        (('cow', 'dog'), {coco.NO_SUCH_CATEGORY_IN_FILE: 1, coco.OTHER_ORDER: 1}),
        (('cow', 'hen'), {coco.NO_CLASS_IN_COMMON: 1}),
    ],
)
def test_coco_classes(classes, expected):
    problems = kinds(coco_problems(content(), classes))
    problems.pop(coco.NOT_A_CLASS, None) if coco.OTHER_ORDER in problems else None
    assert problems == expected


XML = """<annotation>{size}<object><name>{name}</name><difficult>{difficult}</difficult>
<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox>
</object></annotation>"""
SIZE = '<size><width>40</width><height>30</height></size>'


def xml_kinds(tmp_path, text, trains=True, bbox_min_size=0):
    path = tmp_path / 'a.xml'
    path.write_text(text)
    rules = BoxKinds.of(trains, bbox_min_size)
    return kinds(voc_problems(str(path), VocNames(CLASSES), rules))


def xml(*corners, size=SIZE, name='cat', difficult=0):
    return XML.format(*corners, size=size, name=name, difficult=difficult)


@pytest.mark.parametrize(
    ('text', 'expected'),
    [
        (xml(1, 1, 40, 30), {}),
        (xml(0, 0, 40, 30), {}),
        (xml(5, 5, 5, 9), {voc.NO_AREA: 1}),
        (xml(9, 5, 5, 9), {voc.NO_AREA: 1}),
        (xml(50, 5, 60, 9), {voc.OUTSIDE: 1}),
        (xml(30, 5, 60, 9), {voc.STICKS_OUT: 1}),
        (xml(1, 1, 9, 'nan'), {voc.UNREADABLE_OBJECT: 1}),
        (xml(1, 1, 9, ''), {voc.UNREADABLE_OBJECT: 1}),
        (xml(1, 1, 9, 9, difficult=1), {voc.DIFFICULT: 1}),
        (xml(1, 1, 9, 9, size=''), {voc.NO_SIZE: 1}),
        (xml(1, 1, 9, 9, size=SIZE.replace('40', '0')), {voc.SIZE_ZERO: 1}),
        (xml(1, 1, 9, 9, size=SIZE.replace('40', '')), {voc.UNREADABLE_SIZE: 1}),
        (f'<annotation>{SIZE}</annotation>', {voc.NO_OBJECTS: 1}),
        ('<annotation>', {voc.BROKEN_XML: 1}),
    ],
)
def test_voc(tmp_path, text, expected):
    assert xml_kinds(tmp_path, text) == expected


def test_voc_ignores_small_boxes_where_the_config_says_so(tmp_path):
    found = xml_kinds(tmp_path, xml(5, 5, 5, 9), bbox_min_size=1)
    assert found == {voc.IGNORED_NO_AREA: 1}


def test_voc_evaluates_on_any_boxes(tmp_path):
    for box, kind in (
        (xml(5, 5, 5, 9), voc.NO_AREA_TO_FIND),
        (xml(50, 5, 60, 9), voc.OUTSIDE_TO_FIND),
    ):
        assert xml_kinds(tmp_path, box, trains=False) == {kind: 1}


def test_voc_names():
    names = VocNames(CLASSES)
    assert list(names.problems()) == []
    names.add('cow')
    assert kinds(names.problems()) == {voc.NO_CLASS_IN_COMMON: 1}
    names.add('cat')
    assert kinds(names.problems()) == {voc.NOT_A_CLASS: 1, voc.NO_INSTANCES: 1}


def test_a_box_without_an_area_spoils_the_loss():
    """Why VOC's are an error: mmdet gives it anchors, and its size has no logarithm."""
    from mmdet.models.dense_heads import RetinaHead
    from mmengine.structures import InstanceData

    head = RetinaHead(
        num_classes=2,
        in_channels=4,
        feat_channels=4,
        stacked_convs=1,
        train_cfg=dict(
            assigner=dict(
                type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0
            ),
            sampler=dict(type='PseudoSampler'),
            allowed_border=-1,
            pos_weight=-1,
        ),
    )
    maps = [torch.zeros(1, 4, 128 // 2**i, 128 // 2**i) for i in range(3, 8)]
    boxes = InstanceData(
        bboxes=torch.tensor([[30.0, 30, 30, 30]]), labels=torch.tensor([0])
    )
    losses = head.loss_by_feat(
        *head(maps), [boxes], [dict(img_shape=(128, 128), pad_shape=(128, 128))]
    )
    assert torch.isinf(sum(losses['loss_bbox']))


def test_tally_counts_and_names_a_few():
    kind = warning('odd things', 'Look.')
    (finding,) = tally([(kind, str(i)) for i in range(5)])
    assert finding.text == '5 odd things (0, 1, 2, ...)'
    assert finding.as_dict()['count'] == 5
