"""What annotation tools write as VOC's xml, from the tool to a perfect detector.

As beside this file for COCO's json. There is one more image, without an object.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.evaluation import VOCMetric
from mmengine.config import Config
from mmengine.registry import DATASETS
from PIL import Image

from dropblock_mm.data_checks.quick import check_data
from dropblock_mm.testing.toy_detector import toy_detector_config

CLASSES = ('cat', 'dog')
SIDE = 64
CORNERS = [[(8, 8, 40, 48)], [(4, 20, 30, 60)], [(16, 4, 60, 40)], []]
LABELS = [[0], [1], [0], []]
NAMES = ['0', '1', '2', '3']


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'JPEGImages').mkdir()
    for number, name in enumerate(NAMES):
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(picture(tmp_path, name))
    return tmp_path


def picture(folder, name):
    return folder / f'JPEGImages/{name}.jpg'


def sizes(corners):
    x1, y1, x2, y2 = corners
    return [x1, y1, x2 - x1, y2 - y1]


def needs(module):
    package = module.partition('.')[0]
    reason = f'{package} is not installed (pip install -e .[exporters])'
    return pytest.importorskip(module, reason=reason)


def datumaro(folder):
    """It writes the list of names as well."""
    dm = needs('datumaro')
    items = [
        dm.DatasetItem(
            id=name,
            subset='train',
            media=dm.Image.from_file(path=str(picture(folder, name))),
            annotations=[
                dm.Bbox(*sizes(box), label=label)
                for box, label in zip(boxes, labels, strict=True)
            ],
        )
        for name, boxes, labels in zip(NAMES, CORNERS, LABELS, strict=True)
    ]
    written = dm.Dataset.from_iterable(items, categories=list(CLASSES))
    written.export(str(folder / 'export'), 'voc_detection', save_media=False)
    (folder / 'export/Annotations').rename(folder / 'Annotations')
    (folder / 'export/ImageSets/Main/train.txt').rename(folder / 'names.txt')


def label_studio(folder):
    labels = ''.join(f'<Label value="{name}"/>' for name in CLASSES)
    view = (
        '<View><Image name="image" value="$image"/><RectangleLabels name="label" '
        f'toName="image">{labels}</RectangleLabels></View>'
    )
    converter = needs('label_studio_converter').Converter(view, None)
    tasks = folder / 'tasks.json'
    tasks.write_text(json.dumps([task(folder, n) for n in range(len(NAMES))]))
    converter.convert_to_voc(str(tasks), str(folder), is_dir=False)
    list_annotated(folder)


def task(folder, number):
    """What Label Studio keeps of an image: boxes in percent."""
    results = []
    for box, label in zip(CORNERS[number], LABELS[number], strict=True):
        names = ('x', 'y', 'width', 'height')
        percent = [100 * side / SIDE for side in sizes(box)]
        value = dict(zip(names, percent, strict=True)) | dict(rotation=0)
        results.append(
            dict(
                id=f'{number}',
                type='rectanglelabels',
                from_name='label',
                to_name='image',
                original_width=SIDE,
                original_height=SIDE,
                image_rotation=0,
                value=value | dict(rectanglelabels=[CLASSES[label]]),
            )
        )
    return dict(
        id=number + 1,
        data=dict(image=str(picture(folder, NAMES[number]))),
        annotations=[dict(id=number + 1, completed_by=1, result=results)],
    )


def pylabel(folder):
    importer = needs('pylabel.importer')
    pairs = [(i, box) for i, boxes in enumerate(CORNERS) for box in boxes]
    content = {
        'images': [
            dict(id=i, file_name=f'{name}.jpg', width=SIDE, height=SIDE)
            for i, name in enumerate(NAMES)
        ],
        'annotations': [
            dict(
                id=i,
                image_id=i,
                category_id=LABELS[i][0] + 1,
                bbox=sizes(box),
                area=1,
                iscrowd=0,
                segmentation=[],
            )
            for i, box in pairs
        ],
        'categories': [dict(id=i, name=name) for i, name in enumerate(CLASSES, 1)],
    }
    (folder / 'a.json').write_text(json.dumps(content))
    pictures = str(folder / 'JPEGImages')
    read = importer.ImportCoco(str(folder / 'a.json'), path_to_images=pictures)
    (folder / 'Annotations').mkdir()
    read.export.ExportToVoc(output_path=str(folder / 'Annotations'))
    list_annotated(folder)


def list_annotated(folder):
    """A list of names is not what these tools write."""
    names = sorted(path.stem for path in (folder / 'Annotations').glob('*.xml'))
    (folder / 'names.txt').write_text(''.join(f'{name}\n' for name in names))


def rewrite(folder, pattern, text):
    for path in (folder / 'Annotations').glob('*.xml'):
        path.write_text(re.sub(pattern, text, path.read_text()))


def leave_out_the_empty(folder):
    (folder / 'names.txt').write_text('0\n1\n2\n')


def say_not_difficult(folder):
    rewrite(folder, '<difficult/>', '<difficult>0</difficult>')


# A tool, what is refused of its files, and what mends that.
TOOLS = [
    pytest.param(datumaro, 'Annotations/3.xml', leave_out_the_empty, id='datumaro'),
    pytest.param(label_studio, '', None, id='label-studio'),
    pytest.param(pylabel, 'difficult', say_not_difficult, id='pylabel'),
]


def config(folder):
    dataset = dict(
        type='mmdet.XMLDataset',
        data_root=f'{folder}/',
        ann_file='names.txt',
        data_prefix=dict(sub_data_root=''),
        metainfo=dict(classes=CLASSES),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='mmdet.LoadAnnotations', with_bbox=True),
            dict(type='mmdet.Resize', scale=(SIDE, SIDE)),
            dict(type='mmdet.PackDetInputs'),
        ],
    )
    loader = dict(batch_size=1, num_workers=0, persistent_workers=False)
    loader |= dict(sampler=dict(type='DefaultSampler', shuffle=False))
    model = toy_detector_config('RetinaNet')
    model['bbox_head']['num_classes'] = len(CLASSES)
    model['test_cfg'] |= dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5))
    return Config(
        dict(
            default_scope='mmdet',
            model=model,
            train_dataloader=dict(**loader, dataset=dataset),
            val_dataloader=dict(**loader, dataset=dataset | dict(test_mode=True)),
            val_evaluator=dict(type='VOCMetric'),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            val_cfg=dict(),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.001)),
        )
    )


def perfect_average_precision(folder):
    """Of the boxes that were drawn, against those that mmdet reads."""
    found = DATASETS.build(config(folder).val_dataloader.dataset)
    metric = VOCMetric(metric='mAP')
    metric.dataset_meta = found.metainfo
    for number in range(len(found)):
        entry = found.get_data_info(number)
        drawn = NAMES.index(Path(entry['img_path']).stem)
        boxes = torch.tensor(CORNERS[drawn]).reshape(-1, 4).float()
        truth = [instance['bbox'] for instance in entry['instances']]
        # mmdet counts VOC's corners from 1; that is as these tools do not.
        assert [[side + 1 for side in box] for box in truth] == boxes.tolist()
        sample = dict(
            gt_instances=dict(
                bboxes=torch.tensor(truth).reshape(-1, 4).float(),
                labels=torch.tensor(LABELS[drawn]).long(),
            ),
            ignored_instances=dict(bboxes=torch.zeros(0, 4), labels=torch.zeros(0)),
            pred_instances=dict(
                bboxes=boxes,
                scores=torch.full((len(boxes),), 0.9),
                labels=torch.tensor(LABELS[drawn]).long(),
            ),
        )
        metric.process({}, [sample])
    return metric.evaluate(size=len(found))['pascal_voc/mAP']


@pytest.mark.parametrize(('write_files', 'refused', 'mend'), TOOLS)
def test_boxes(folder, write_files, refused, mend):
    """As written, and as mended: nothing is refused then, and the AP is 1."""
    write_files(folder)
    if refused:
        with pytest.raises(ValueError, match=refused):
            check_data(config(folder), ['train', 'val'])
        mend(folder)
    check_data(config(folder), ['train', 'val'])
    assert perfect_average_precision(folder) == pytest.approx(1)


@pytest.mark.nightly
@pytest.mark.parametrize(('write_files', 'refused', 'mend'), TOOLS)
def test_training(folder, load_tool, scalars, write_files, refused, mend):
    write_files(folder)
    if mend:
        mend(folder)
    file = folder / f'{folder.name}.py'
    config(folder).dump(file)
    load_tool('train').main([str(file), '--work-dir', str(folder / 'run')])
    assert any('pascal_voc/mAP' in line for line in scalars(folder / 'run'))
