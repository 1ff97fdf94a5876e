"""What annotation tools write, from the tool itself to a trained detector.

``pip install -e .[exporters]`` brings the tools. Each writes the same three objects;
its file goes through the check, is mended as the check says, and then a perfect
detector has an AP of 1, and another trains.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric
from mmengine.config import Config
from PIL import Image

from dropblock_mm.data_checks.quick import check_data
from dropblock_mm.testing.toy_detector import toy_detector_config

CLASSES = ('cat', 'dog')
SIDE = 64
CORNERS = [(8, 8, 40, 48), (4, 20, 30, 60), (16, 4, 60, 40)]
LABELS = [0, 1, 0]
NAMES = ['0.jpg', '1.jpg', '2.jpg']


@pytest.fixture
def folder(tmp_path):
    for number, name in enumerate(NAMES):
        pixels = np.random.default_rng(number).integers(0, 256, (SIDE, SIDE, 3))
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / name)
    return tmp_path


def sizes(corners):
    x1, y1, x2, y2 = corners
    return [x1, y1, x2 - x1, y2 - y1]


def needs(module):
    package = module.partition('.')[0]
    reason = f'{package} is not installed (pip install -e .[exporters])'
    return pytest.importorskip(module, reason=reason)


def supervision(folder, path):
    sv = needs('supervision')
    paths = [str(folder / name) for name in NAMES]
    found = {
        name: sv.Detections(xyxy=np.array([box], float), class_id=np.array([label]))
        for name, box, label in zip(paths, CORNERS, LABELS, strict=True)
    }
    written = sv.DetectionDataset(list(CLASSES), paths, found)
    written.as_coco(images_directory_path=None, annotations_path=str(path))


def globox(folder, path):
    tool = needs('globox')
    written = [
        tool.Annotation(name, (SIDE, SIDE), [_globox_box(tool, box, label)])
        for name, box, label in zip(NAMES, CORNERS, LABELS, strict=True)
    ]
    tool.AnnotationSet(written).save_coco(path, auto_ids=True)


def _globox_box(tool, box, label):
    names = ('xmin', 'ymin', 'xmax', 'ymax')
    sides = dict(zip(names, box, strict=True))
    return tool.BoundingBox(label=CLASSES[label], **sides)


def kwcoco(folder, path):
    written = needs('kwcoco').CocoDataset()
    categories = [written.add_category(name) for name in CLASSES]
    for name, box, label in zip(NAMES, CORNERS, LABELS, strict=True):
        image = written.add_image(file_name=name, width=SIDE, height=SIDE)
        written.add_annotation(image, categories[label], bbox=sizes(box))
    written.dump(str(path))


def sahi(folder, path):
    needs('sahi')
    from sahi.utils.coco import Coco, CocoAnnotation, CocoCategory, CocoImage

    written = Coco()
    for number, name in enumerate(CLASSES):
        written.add_category(CocoCategory(id=number, name=name))
    for name, box, label in zip(NAMES, CORNERS, LABELS, strict=True):
        image = CocoImage(file_name=name, height=SIDE, width=SIDE)
        named = dict(category_id=label, category_name=CLASSES[label])
        image.add_annotation(CocoAnnotation(bbox=sizes(box), **named))
        written.add_image(image)
    path.write_text(json.dumps(written.json))


def datumaro(folder, path):
    dm = needs('datumaro')
    items = [
        dm.DatasetItem(
            id=Path(name).stem,
            subset='train',
            media=dm.Image.from_file(path=str(folder / name)),
            annotations=[dm.Bbox(*sizes(box), label=label)],
        )
        for name, box, label in zip(NAMES, CORNERS, LABELS, strict=True)
    ]
    written = dm.Dataset.from_iterable(items, categories=list(CLASSES))
    written.export(str(folder / 'export'), 'coco_instances', save_media=False)
    (folder / 'export/annotations/instances_train.json').rename(path)


def labelme(folder, path):
    """What labelme 6.3 saves, converted; it is a program with windows itself."""
    tool = needs('labelme2coco')
    (folder / 'labelme').mkdir(exist_ok=True)
    for name, (x1, y1, x2, y2), label in zip(NAMES, CORNERS, LABELS, strict=True):
        shape = dict(
            label=CLASSES[label],
            points=[[x1, y1], [x2, y1], [x2, y2], [x1, y2]],
            group_id=None,
            description='',
            shape_type='polygon',
            flags={},
            mask=None,
        )
        saved = dict(version='6.3.1', flags={}, shapes=[shape], imagePath=f'../{name}')
        saved |= dict(imageData=None, imageHeight=SIDE, imageWidth=SIDE)
        path_of_image = folder / 'labelme' / name
        path_of_image.with_suffix('.json').write_text(json.dumps(saved))
    tool.convert(str(folder / 'labelme'), str(folder / 'export'))
    (folder / 'export/dataset.json').rename(path)


def label_studio(folder, path):
    converter = needs('label_studio_converter').Converter(LABELS_OF_TASKS, None)
    tasks = folder / 'tasks.json'
    tasks.write_text(json.dumps(list(label_studio_tasks(folder))))
    converter.convert_to_coco(str(tasks), str(folder / 'export'), is_dir=False)
    (folder / 'export/result.json').rename(path)


LABELS_OF_TASKS = (
    '<View><Image name="image" value="$image"/><RectangleLabels name="label" '
    'toName="image"><Label value="cat"/><Label value="dog"/></RectangleLabels></View>'
)


def label_studio_tasks(folder):
    """What Label Studio keeps of each image: boxes in percent."""
    for number, name in enumerate(NAMES):
        names = ('x', 'y', 'width', 'height')
        percent = [100 * side / SIDE for side in sizes(CORNERS[number])]
        value = dict(zip(names, percent, strict=True)) | dict(rotation=0)
        result = dict(
            id=str(number),
            type='rectanglelabels',
            from_name='label',
            to_name='image',
            original_width=SIDE,
            original_height=SIDE,
            image_rotation=0,
            value=value | dict(rectanglelabels=[CLASSES[LABELS[number]]]),
        )
        yield dict(
            id=number + 1,
            data=dict(image=str(folder / name)),
            annotations=[dict(id=number + 1, completed_by=1, result=[result])],
        )


def pylabel(folder, path):
    importer = needs('pylabel.importer')
    sahi(folder, folder / 'sahi.json')
    read = importer.ImportCoco(str(folder / 'sahi.json'), path_to_images=str(folder))
    read.export.ExportToCoco(output_path=str(path), cat_id_index=1)


def complete(content):
    """What the errors about a file of kwcoco say: area and iscrowd are missing."""
    for one in content['annotations']:
        one['area'] = one['bbox'][2] * one['bbox'][3]
        one['iscrowd'] = 0


def count_from_one(content):
    """What the warning about a file of globox says: its first id is 0."""
    for one in content['annotations']:
        one['id'] += 1


# A tool, what is refused of its file for boxes, what mends that.
TOOLS = [
    pytest.param(supervision, [], None, id='supervision'),
    pytest.param(globox, [], count_from_one, id='globox'),
    pytest.param(kwcoco, ['lack one of', 'without iscrowd'], complete, id='kwcoco'),
    pytest.param(sahi, [], None, id='sahi'),
    pytest.param(datumaro, [], None, id='datumaro'),
    pytest.param(labelme, [], None, id='labelme'),
    pytest.param(label_studio, [], count_from_one, id='label-studio'),
    pytest.param(pylabel, [], count_from_one, id='pylabel'),
]


def config(folder, masks=False):
    steps = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=masks),
        dict(type='Resize', scale=(SIDE, SIDE)),
        dict(type='PackDetInputs'),
    ]
    dataset = dict(
        type='CocoDataset',
        data_root=f'{folder}/',
        ann_file='a.json',
        data_prefix=dict(img=''),
        metainfo=dict(classes=CLASSES),
        pipeline=steps,
    )
    loader = dict(batch_size=1, num_workers=0, persistent_workers=False)
    sampler = dict(type='DefaultSampler', shuffle=False)
    model = toy_detector_config('RetinaNet')
    model['bbox_head']['num_classes'] = len(CLASSES)
    model['test_cfg'] |= dict(score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5))
    return Config(
        dict(
            default_scope='mmdet',
            model=model,
            train_dataloader=dict(**loader, sampler=sampler, dataset=dataset),
            val_dataloader=dict(
                **loader, sampler=sampler, dataset=dict(**dataset, test_mode=True)
            ),
            val_evaluator=dict(type='CocoMetric', ann_file=f'{folder}/a.json'),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            val_cfg=dict(),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.001)),
        )
    )


def perfect_average_precision(path):
    content = json.loads(path.read_text())
    metric = CocoMetric(ann_file=str(path), metric='bbox')
    metric.dataset_meta = dict(classes=CLASSES)
    for image in content['images']:
        number = NAMES.index(Path(image['file_name']).name)
        sample = dict(
            img_id=image['id'],
            ori_shape=(SIDE, SIDE),
            pred_instances=dict(
                bboxes=torch.tensor([CORNERS[number]]).float(),
                scores=torch.tensor([0.9]),
                labels=torch.tensor([LABELS[number]]),
            ),
        )
        metric.process({}, [sample])
    return metric.evaluate(size=len(NAMES))['coco/bbox_mAP']


def write(folder, write_file, mend):
    path = folder / 'a.json'
    write_file(folder, path)
    if mend:
        content = json.loads(path.read_text())
        mend(content)
        path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(('write_file', 'refused', 'mend'), TOOLS)
def test_boxes(folder, write_file, refused, mend):
    """As written, and as mended: nothing is refused then, and the AP is 1."""
    write(folder, write_file, None)
    if refused:
        with pytest.raises(ValueError, match=refused[0]) as said:
            check_data(config(folder), ['train', 'val'])
        assert all(text in str(said.value) for text in refused)
    path = write(folder, write_file, mend)
    check_data(config(folder), ['train', 'val'])
    assert perfect_average_precision(path) == pytest.approx(1)


@pytest.mark.parametrize(('write_file', 'refused', 'mend'), TOOLS)
def test_masks(folder, write_file, refused, mend):
    """A pipeline with masks needs polygons, which all but one leave out of a box."""
    write(folder, write_file, mend)
    if write_file is labelme:
        check_data(config(folder, masks=True), ['train'])
        return
    with pytest.raises(ValueError, match='3 objects without a mask'):
        check_data(config(folder, masks=True), ['train'])


@pytest.mark.nightly
@pytest.mark.parametrize(('write_file', 'refused', 'mend'), TOOLS)
def test_training(folder, load_tool, scalars, write_file, refused, mend):
    write(folder, write_file, mend)
    file = folder / f'{folder.name}.py'
    config(folder).dump(file)
    load_tool('train').main([str(file), '--work-dir', str(folder / 'run')])
    assert any('coco/bbox_mAP' in line for line in scalars(folder / 'run'))
