"""A layout is one class: what it says, both checks say."""

import json
import os

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from PIL import Image

from dropblock_mm.data_checks import glance
from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.data_checks.jobs import Job
from dropblock_mm.data_checks.layouts import LAYOUTS, Layout, layout_of, register
from dropblock_mm.data_checks.layouts.base import UNKNOWN
from dropblock_mm.data_checks.problems import error
from dropblock_mm.data_checks.quick import check_data
from dropblock_mm.data_checks.thorough import check_datasets

SIDE = 32
CLASSES = ('cat', 'dog')
LOOPS = ['train', 'val']


class Bars:
    def begin(self, description, total):
        pass

    def advance(self):
        pass


def save_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = int.from_bytes(str(path).encode()[-4:], 'big')
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path, 'JPEG')


def box(number, image=0, category=1, **changes):
    mask = [[4, 4, 20, 4, 20, 20]]
    return (
        dict(
            id=number,
            image_id=image,
            category_id=category,
            bbox=[4, 4, 16, 16],
            area=256,
            iscrowd=0,
            segmentation=mask,
        )
        | changes
    )


def coco(root, *, val=(), train=(), changes=()):
    """A config on two COCO files; pairs of a function and what it changes."""
    for loop in LOOPS:
        images = []
        for i in range(2):
            save_image(root / loop / f'{i}.jpg')
            images.append(dict(id=i, file_name=f'{i}.jpg', width=SIDE, height=SIDE))
        content = dict(
            images=images,
            annotations=[box(1), box(2, image=1, category=2)],
            categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
        )
        for change in {'train': train, 'val': val}[loop]:
            change(content)
        (root / f'{loop}.json').write_text(json.dumps(content))
    config = Config(
        dict(
            default_scope='mmdet',
            **{
                f'{loop}_dataloader': dict(
                    dataset=dict(
                        type='CocoDataset',
                        data_root=str(root),
                        ann_file=f'{loop}.json',
                        data_prefix=dict(img=f'{loop}/'),
                        metainfo=dict(classes=CLASSES),
                        pipeline=[dict(type='LoadAnnotations', with_bbox=True)],
                    )
                )
                for loop in LOOPS
            },
            val_evaluator=dict(type='CocoMetric', ann_file=f'{root}/val.json'),
        )
    )
    for change in changes:
        change(config)
    return config


def annotation(**changes):
    """Change the first annotation; None takes a key away."""

    def change(content):
        first = content['annotations'][0]
        first.update(changes)
        for key, value in changes.items():
            if value is None:
                del first[key]

    return change


def image(**changes):
    return lambda content: content['images'][0].update(changes)


def category(**changes):
    return lambda content: content['categories'][0].update(changes)


def run_lengths(size=(SIDE, SIDE), counts=(512, 512)):
    return dict(size=list(size), counts=counts)


def reverse_categories(content):
    content['categories'].reverse()


def drop_category(content):
    content['categories'].pop()
    content['annotations'].pop()


def masks(config):
    for loop in LOOPS:
        steps = config[f'{loop}_dataloader'].dataset.pipeline
        steps[0].with_mask = True


def classes_by_val_file(config):
    config.val_dataloader.dataset.metainfo = dict(classes=('dog', 'cat'))


def every_annotation(**changes):
    return lambda content: [one.update(changes) for one in content['annotations']]


def many(content):
    """Of 22 objects only two are no crowd."""
    content['annotations'] += [box(i, iscrowd=1) for i in range(3, 23)]


def shifted(content):
    for one in content['annotations']:
        one['category_id'] -= 1


def no_annotations(content):
    content['annotations'] = []


def urls(content):
    for one in content['images']:
        one['file_name'] = f'http://example.org/{one["file_name"]}'


def mask(segmentation, **options):
    """A row about one segmentation, where the pipeline loads masks."""
    return dict(
        train=[annotation(segmentation=segmentation)], changes=[masks], **options
    )


def polygons_alone(config):
    masks(config)
    config.train_dataloader.dataset.pipeline[0].poly2mask = False


def segm(config):
    config.val_evaluator.metric = ['bbox', 'segm']


def of_loop(loop, **changes):
    return lambda config: config[f'{loop}_dataloader'].dataset.update(changes)


def images_elsewhere(config):
    step = dict(type='LoadImageFromFile', backend_args=dict(backend='petrel'))
    for loop in LOOPS:
        dataset = config[f'{loop}_dataloader'].dataset
        dataset.pipeline.insert(0, step)
        dataset.data_prefix = dict(img='s3_of_train/')


def storage_by_name(config):
    step = dict(type='LoadImageFromFile', backend_args='local')
    config.train_dataloader.dataset.pipeline.insert(0, step)


def no_folder_of_images(config):
    config.train_dataloader.dataset.data_prefix = dict(img_path='train/')


def packed(**options):
    """Pack what is evaluated, with some of its keys."""
    step = dict(type='PackDetInputs', **options)
    return lambda config: config.val_dataloader.dataset.pipeline.append(step)


def unloaded(config):
    names = ('LoadImageFromFile', 'Resize', 'PackDetInputs')
    config.train_dataloader.dataset.pipeline = [dict(type=name) for name in names]


def wrapped(kind, **options):
    """Put the data set into another, or nothing."""

    def change(config):
        inner = (
            {}
            if 'datasets' in options
            else dict(dataset=config.train_dataloader.dataset)
        )
        config.train_dataloader.dataset = dict(type=kind, **inner, **options)

    return change


def boxes_alone(config):
    """As a RetinaNet's config is written."""
    assigner = dict(type='MaxIoUAssigner', neg_iou_thr=0.4)
    config.model = dict(
        type='RetinaNet',
        bbox_head=dict(type='RetinaHead', reg_decoded_bbox=True),
        train_cfg=dict(assigner=assigner),
    )


def two_metrics(config):
    config.val_evaluator = [config.val_evaluator] * 2


def two_metrics_with_prefixes(config):
    metric = config.val_evaluator
    config.val_evaluator = [metric, dict(**metric, prefix='other')]


def old_classes(config):
    config.train_dataloader.dataset.metainfo = dict(CLASSES=CLASSES)


TRIANGLE = [4, 4, 20, 4, 20, 20]
# How the data differ from sound ones, and what a refusal says; '' where there is none.
COCO = {
    'sound': (dict(), ''),
    'sound masks': (dict(changes=[masks]), ''),
    'no iscrowd to train on': (dict(train=[annotation(iscrowd=None)]), ''),
    'no iscrowd to evaluate on': (
        dict(val=[annotation(iscrowd=None)]),
        'val_evaluator.ann_file=',
    ),
    'width as text': (dict(train=[image(width='32')]), "images id 0: width='32'"),
    'height below 0': (dict(train=[image(height=-32)]), 'images id 0: height=-32'),
    'a width of 0': (dict(train=[image(width=0)]), 'images id 0: width=0'),
    'area as text': (dict(train=[annotation(area='256')]), "area='256'"),
    'iscrowd as text': (dict(train=[annotation(iscrowd='0')]), "iscrowd='0'"),
    'ignore as text': (dict(train=[annotation(ignore='0')]), "ignore='0'"),
    'a list as an id': (dict(train=[annotation(id=[1])]), 'annotations id [1]: id=[1]'),
    'a number as a name': (dict(train=[category(name=1)]), 'categories id 1: name=1'),
    'a number as a file': (dict(train=[image(file_name=7)]), 'file_name=7'),
    'images that are no list': (
        dict(train=[lambda c: c.update(images={'0': 1})]),
        'it holds no images',
    ),
    'a box without a polygon': (
        dict(train=[annotation(segmentation=[])], changes=[masks]),
        '1 objects without a mask (id 1 in 0.jpg)',
    ),
    'a box without segmentation': (
        dict(val=[annotation(segmentation=None)], changes=[masks]),
        '1 objects without a mask (id 1 in 0.jpg)',
    ),
    'no polygon, and no masks loaded': (dict(train=[annotation(segmentation=[])]), ''),
    'no polygon of a box that is left out': (
        dict(train=[annotation(segmentation=[], area=0)], changes=[masks]),
        '',
    ),
    'points': (
        dict(
            train=[annotation(segmentation=[[4, 4], [20, 4], [20, 20]])],
            changes=[masks],
        ),
        '1 objects whose polygons are lists of points',
    ),
    'lists of points': (
        dict(
            train=[annotation(segmentation=[[[4, 4], [20, 4], [20, 20]]])],
            changes=[masks],
        ),
        '1 objects whose polygons are lists of points',
    ),
    'a line for a polygon': (
        dict(train=[annotation(segmentation=[[4, 4, 20, 20]])], changes=[masks]),
        '',
    ),
    'run lengths': (
        dict(
            train=[annotation(segmentation=run_lengths())],
            changes=[masks],
        ),
        '',
    ),
    'a category that evaluation lacks': (
        dict(val=[drop_category]),
        '1 classes of the config that no category of the file has (dog)',
    ),
    'a category that training lacks': (dict(train=[drop_category]), ''),
    'categories reversed': (
        dict(val=[reverse_categories]),
        'Put the categories of all files in the order of metainfo.classes',
    ),
    'categories and classes reversed': (
        dict(val=[reverse_categories], changes=[classes_by_val_file]),
        'val_dataloader.dataset: its labels are the classes (dog, cat)',
    ),
}
MASKS = {
    'two polygons': (mask([TRIANGLE, TRIANGLE]), ''),
    'a polygon and a line': (mask([TRIANGLE, [4, 4, 20, 20]]), ''),
    'an odd number of coordinates': (mask([[*TRIANGLE, 7]]), ''),
    'an empty polygon': (mask([[]]), ''),
    'one flat list': (mask(TRIANGLE), 'neither polygons nor run lengths'),
    'numbers as text': (mask([['4', '4', '9', '4', '9', '9']]), 'neither polygons'),
    'null in a polygon': (mask([[*TRIANGLE, None, 4]]), 'neither polygons'),
    'nan in a polygon': (mask([[*TRIANGLE, float('nan'), 4]]), 'neither polygons'),
    'far away': (mask([[*TRIANGLE, 1e12, 4]]), 'neither polygons'),
    'text': (mask('4,4,20,4,20,20'), 'neither polygons'),
    'a list of run lengths': (mask([run_lengths()]), 'neither polygons'),
    'no counts': (mask(dict(size=[SIDE, SIDE])), 'neither polygons'),
    'no size': (mask(dict(size=None, counts=[1024])), 'neither polygons'),
    'compressed': (mask(run_lengths(counts='PPPP')), 'do not fill their size'),
    'no text of run lengths': (mask(run_lengths(counts='')), 'do not fill'),
    'short': (mask(run_lengths(counts=(512, 500))), 'do not fill their size'),
    'below 0': (mask(run_lengths(counts=(1025, -1))), 'do not fill their size'),
    'another size': (
        mask(run_lengths((SIDE // 2, 2 * SIDE))),
        'id 1 in 0.jpg: [16, 64], not [32, 32]',
    ),
    'polygons for some': (
        dict(train=[annotation(segmentation=run_lengths())], changes=[polygons_alone]),
        '',
    ),
    'polygons for none': (
        dict(
            train=[every_annotation(segmentation=run_lengths())],
            changes=[polygons_alone],
        ),
        'no object is left to learn (2 objects with run lengths',
    ),
    'evaluated, and none': (
        dict(val=[annotation(segmentation=[])], changes=[segm]),
        '1 objects whose mask pycocotools cannot read (id 1 in 0.jpg)',
    ),
    'evaluated, a line': (
        dict(val=[annotation(segmentation=[[4, 4, 20, 20]])], changes=[segm]),
        'whose mask pycocotools cannot read',
    ),
    'evaluated, a line first': (
        dict(val=[annotation(segmentation=[[4, 4, 20, 20], TRIANGLE])], changes=[segm]),
        'whose mask pycocotools cannot read',
    ),
    'evaluated on the boxes alone': (dict(val=[annotation(segmentation=[])]), ''),
    'evaluated in a size of fractions': (
        dict(val=[image(width=32.0)], changes=[segm]),
        'width=32.0',
    ),
}
LEFT = {
    'crowd alone': (
        dict(train=[every_annotation(iscrowd=1)]),
        'no object is left to learn (2 crowd boxes)',
    ),
    'ignored alone': (
        dict(train=[every_annotation(ignore=1)]),
        '(2 annotations marked to be ignored)',
    ),
    'areas of 0': (dict(train=[every_annotation(area=0)]), 'no object is left'),
    'other images': (dict(train=[every_annotation(image_id=9)]), 'no object is left'),
    'text as image ids': (
        dict(train=[every_annotation(image_id='0')]),
        '(2 annotations of an image that the file does not list)',
    ),
    'a line for each polygon': (
        dict(train=[every_annotation(segmentation=[[4, 4, 20, 20]])], changes=[masks]),
        '(2 objects without a polygon of three points)',
    ),
    'small images': (
        dict(changes=[of_loop('train', filter_cfg=dict(min_size=SIDE + 1))]),
        'no object is left to learn',
    ),
    'nearly all crowd': (
        dict(train=[many]),
        'hardly an object is left to learn (2 of 22; 20 crowd boxes)',
    ),
    'crowd to evaluate on': (
        dict(val=[every_annotation(iscrowd=1)]),
        'no object is left to evaluate on (2 crowd boxes)',
    ),
    'nothing annotated': (
        dict(train=[no_annotations]),
        'train_dataloader.dataset: no object is annotated',
    ),
    'nothing annotated to evaluate on': (
        dict(val=[no_annotations]),
        'val_evaluator.ann_file=',
    ),
    'annotations are null': (
        dict(train=[lambda c: c.update(annotations=None)]),
        'it holds no annotations',
    ),
    'ids off by one': (
        dict(train=[shifted]),
        'shifted by one against those of the annotations (annotations have 0 to 1',
    ),
}
VALUES = {
    'a box of truth values': (
        dict(train=[annotation(bbox=[4, 4, True, 16])]),
        'bbox is not four finite numbers',
    ),
    'a huge number': (dict(train=[annotation(area=10**400)]), 'annotations id 1: area'),
    'half a pixel': (dict(train=[image(width=31.5)]), 'images id 0: width=31.5'),
    'iscrowd is null': (
        dict(train=[lambda c: c['annotations'][0].update(iscrowd=None)]),
        'iscrowd=None',
    ),
    'iscrowd is true': (dict(train=[annotation(iscrowd=True)]), ''),
    'text as ids of annotations': (dict(train=[annotation(id='a1')]), ''),
    'text as ids to evaluate on': (
        dict(val=[annotation(id='a1')]),
        "annotations id 'a1': id='a1'",
    ),
}
CONFIGS = {
    'one metric twice': (dict(changes=[two_metrics]), 'val_evaluator.1: its results'),
    'a metric that there is not': (
        dict(changes=[lambda c: c.val_evaluator.update(metric='bbx')]),
        "val_evaluator.metric='bbx': CocoMetric knows bbox, segm",
    ),
    'a smallest size of text': (
        dict(changes=[of_loop('train', filter_cfg=dict(min_size='32'))]),
        "train_dataloader.dataset.filter_cfg.min_size='32': not a number",
    ),
    'two prefixes': (dict(changes=[two_metrics_with_prefixes]), ''),
    'names of mmdet 2': (dict(changes=[old_classes]), 'Name it classes.'),
    'fewer classes to evaluate': (
        dict(
            val=[drop_category],
            changes=[of_loop('val', metainfo=dict(classes=('cat',)))],
        ),
        'val_dataloader.dataset: it has 1 classes, and training has 2',
    ),
    'names in capitals': (
        dict(
            val=[lambda c: [k.update(name=k['name'].title()) for k in c['categories']]],
            changes=[of_loop('val', metainfo=dict(classes=('Cat', 'Dog')))],
        ),
        '',
    ),
    'capitals in another order': (
        dict(
            val=[
                reverse_categories,
                lambda c: [k.update(name=k['name'].title()) for k in c['categories']],
            ],
            changes=[of_loop('val', metainfo=dict(classes=('Dog', 'Cat')))],
        ),
        'its labels are the classes (Dog, Cat)',
    ),
    'images elsewhere': (dict(changes=[images_elsewhere]), ''),
    'a number for a folder': (
        dict(changes=[of_loop('train', data_root=3)]),
        'train_dataloader.dataset.data_root=3: not a path',
    ),
    'two files at once': (
        dict(changes=[of_loop('train', ann_file=['a.json', 'b.json'])]),
        "train_dataloader.dataset.ann_file=['a.json', 'b.json']: not a path",
    ),
    'a number for the images': (
        dict(changes=[of_loop('train', data_prefix=dict(img=1))]),
        'train_dataloader.dataset.data_prefix.img=1: not a path',
    ),
    'a storage by its name alone': (
        dict(changes=[storage_by_name]),
        "backend_args='local' is not a dict",
    ),
    'a storage that there is not': (
        dict(changes=[of_loop('train', backend_args=dict(backend='s3fs'))]),
        'MMEngine has no such backend',
    ),
    'a class twice': (
        dict(changes=[of_loop('train', metainfo=dict(classes=('cat', 'cat')))]),
        'metainfo.classes: cat occurs more than once',
    ),
    'outputs as text': (
        dict(changes=[lambda c: c.update(model=dict(bbox_head=dict(num_classes='2')))]),
        "model.bbox_head.num_classes='2': text",
    ),
    'a folder as text': (
        dict(changes=[of_loop('train', data_prefix='train/')]),
        "train_dataloader.dataset.data_prefix='train/': not a dict",
    ),
    "mmseg's name of a folder": (
        dict(changes=[no_folder_of_images]),
        'it names no folder of images. Set img in it',
    ),
    'no file': (
        dict(changes=[of_loop('train', ann_file='')]),
        "train_dataloader.dataset.ann_file='': CocoDataset has no annotations",
    ),
    'a metric without a file': (
        dict(changes=[packed(), lambda c: c.val_evaluator.pop('ann_file')]),
        'val_evaluator.ann_file: CocoMetric has none',
    ),
    'a metric without a file, that gets the objects': (
        dict(
            changes=[
                packed(meta_keys=('img_id', 'instances')),
                lambda c: c.val_evaluator.pop('ann_file'),
            ]
        ),
        '',
    ),
    'masks of a model of boxes': (
        dict(changes=[segm, boxes_alone]),
        "val_evaluator.metric=['bbox', 'segm']: the model predicts no masks",
    ),
    'masks of a model of masks': (
        dict(
            changes=[
                segm,
                lambda c: c.update(model=dict(roi_head=dict(mask_head=dict()))),
            ]
        ),
        '',
    ),
    'no steps that load boxes': (
        dict(changes=[unloaded]),
        'train_dataloader.dataset.pipeline: no step loads annotations',
    ),
    'indices of text': (
        dict(changes=[of_loop('train', indices='1')]),
        "indices='1': neither a number of images nor a list",
    ),
    'no indices': (dict(changes=[of_loop('train', indices=0)]), 'indices=0: neither'),
    'the last image': (dict(changes=[of_loop('train', indices=-1)]), ''),
    'an image that there is not': (
        dict(changes=[of_loop('train', indices=[0, 7])]),
        'indices: 7 is among them, and there are 2 images',
    ),
    'nothing in a row': (
        dict(changes=[wrapped('ConcatDataset', datasets=[])]),
        'train_dataloader.dataset.datasets=[]: no data set is in it',
    ),
    'never': (
        dict(changes=[wrapped('RepeatDataset', times=0)]),
        'train_dataloader.dataset.times=0: not a whole number from 1',
    ),
    'twice': (dict(changes=[wrapped('RepeatDataset', times=2)]), ''),
    'another width': (
        dict(train=[image(width=SIDE + 1)]),
        'images of another size than the annotations say',
    ),
    'URLs behind a folder': (dict(train=[urls]), '2 images that are URLs'),
    'URLs': (
        dict(
            train=[urls],
            changes=[
                lambda c: c.train_dataloader.dataset.update(
                    ann_file=f'{c.train_dataloader.dataset.data_root}/train.json',
                    data_root='',
                    data_prefix=dict(img=''),
                )
            ],
        ),
        '',
    ),
}
OBJECT = """<object><name>cat</name>{difficult}<bndbox><xmin>5</xmin><ymin>5</ymin>
<xmax>20</xmax><ymax>20</ymax></bndbox></object>"""


PLAIN = OBJECT.format(difficult='')


def voc(
    root,
    *,
    names='a\nb\n',
    objects=PLAIN,
    last=PLAIN,
    lost='',
    moved=(),
    head='',
    **options,
):
    save_image(root / 'JPEGImages/a.jpg')
    save_image(root / 'JPEGImages/b.jpg')
    (root / 'Annotations').mkdir()
    size = f'<size><width>{SIDE}</width><height>{SIDE}</height></size>'
    for name, inside in (('a', objects), ('b', last)):
        text = f'{head}<annotation>{size}{inside}</annotation>'
        (root / f'Annotations/{name}.xml').write_text(text)
    (root / 'names.txt').write_bytes(names.encode())
    if lost:
        (root / lost).unlink()
    if moved:
        (root / moved[0]).rename(root / moved[1])
    dataset = dict(
        type='XMLDataset',
        data_root=str(root),
        ann_file='names.txt',
        data_prefix=dict(sub_data_root=''),
        **dict(metainfo=dict(classes=CLASSES)) | options,
    )
    return Config(dict(default_scope='mmdet', train_dataloader=dict(dataset=dataset)))


def marked(text):
    return OBJECT.format(difficult=f'<difficult>{text}</difficult>')


VOC = {
    'sound': (dict(), ''),
    'difficult': (dict(objects=marked(1)), ''),
    'difficult with spaces': (dict(objects=marked(' 1 ')), ''),
    'difficult is empty': (
        dict(objects=marked('')),
        '1 objects whose difficult is no whole number (object 0 of ',
    ),
    'difficult is a word': (dict(objects=marked('Unspecified')), 'object 0 of '),
    'difficult is a fraction': (dict(objects=marked('0.0')), 'object 0 of '),
    'an image without XML': (dict(lost='Annotations/a.xml'), 'names 1 XML files'),
    'XML without an image': (dict(lost='JPEGImages/a.jpg'), 'names 1 images'),
    'an empty last line': (dict(names='a\nb\n\n'), 'names.txt, line 3'),
    'a list without a line end': (dict(names='a\nb'), ''),
    'a list of nothing': (dict(names='\n'), 'data set without images'),
    'a blank behind a name': (dict(names='a \nb\n'), "line 1: 'a '"),
    'lines of another system': (dict(names='a\r\nb\r\n'), ''),
    'a byte order mark': (dict(names='\ufeffa\nb\n'), 'a byte order mark'),
    'names with a suffix': (
        dict(names='a.jpg\nb\n'),
        'the list names a.jpg with its suffix',
    ),
    'another format': (
        dict(moved=('JPEGImages/a.jpg', 'JPEGImages/a.png')),
        'there is a.png, but .jpg is looked for',
    ),
    'all difficult': (
        dict(objects=marked(1), last=marked(1)),
        'no object is left to learn (2 of 2 are difficult, or too small)',
    ),
    'nearly all difficult': (
        dict(objects=10 * marked(1)),
        'hardly an object is left to learn',
    ),
    'no objects': (dict(objects='', last=''), 'no object is annotated'),
    'small boxes ignored in training': (dict(filter_cfg=dict(bbox_min_size=4)), ''),
    'small boxes ignored in evaluation': (
        dict(filter_cfg=dict(bbox_min_size=4), test_mode=True),
        'train_dataloader.dataset.filter_cfg.bbox_min_size=4: it ignores small boxes',
    ),
    'a size of text': (
        dict(filter_cfg=dict(bbox_min_size='4')),
        "filter_cfg.bbox_min_size='4': not a number",
    ),
    'a filter that is no dict': (dict(filter_cfg=True), 'filter_cfg=True: not a dict'),
    'no classes': (dict(metainfo=None), 'XMLDataset has no classes of its own'),
    'no XML encoding': (
        dict(objects='', head='<?xml version="1.0" encoding="x"?>'),
        'not XML',
    ),
}


def segmentation(
    root, *, names='a\nb\n', lost='', suffix='.jpg', map_suffix='.png', **options
):
    for name in 'ab':
        save_image(root / f'images/{name}.jpg')
        (root / 'maps').mkdir(exist_ok=True)
        labels = np.zeros((SIDE, SIDE), dtype=np.uint8)
        labels[:9] = 1
        Image.fromarray(labels).save(root / f'maps/{name}{map_suffix}')
    (root / 'names.txt').write_text(names)
    if lost:
        (root / lost).unlink()
    dataset = dict(
        type='BaseSegDataset',
        data_root=str(root),
        ann_file='names.txt',
        img_suffix=suffix,
        **dict(
            metainfo=dict(classes=CLASSES),
            data_prefix=dict(img_path='images', seg_map_path='maps'),
        )
        | options,
    )
    return Config(dict(default_scope='mmseg', train_dataloader=dict(dataset=dataset)))


SEGMENTATION = {
    'sound': (dict(), ''),
    'no classes to train on': (dict(metainfo=None), ''),
    'no classes to evaluate on': (
        dict(metainfo=None, test_mode=True),
        'BaseSegDataset has no classes of its own',
    ),
    'no map': (dict(lost='maps/b.png'), 'names 1 label maps'),
    'no image': (dict(lost='images/b.jpg'), 'names 1 images'),
    'an empty line': (dict(names='a\n\nb\n'), 'names.txt, line 2'),
    'a suffix in capitals': (
        dict(suffix='.JPG'),
        'a.JPG, which is called a.jpg there',
    ),
    'nothing in the list': (dict(names=''), 'names.txt'),
    'blanks behind a name': (dict(names='a  \nb\n'), ''),
    'another format': (dict(suffix='.png'), 'there is a.jpg, but .png is looked for'),
    'maps elsewhere': (
        dict(
            pipeline=[
                dict(type='LoadAnnotations', backend_args=dict(backend='petrel'))
            ],
            lost='maps/b.png',
        ),
        '',
    ),
    'a longer name': (
        dict(map_suffix='_mask.png'),
        'a.png: there is a_mask.png, but a.png is looked for',
    ),
    'no folder of images': (
        dict(data_prefix=dict(img='images', seg_map_path='maps')),
        'it names no folder of images. Set img_path in it',
    ),
    'no folder of maps': (
        dict(
            data_prefix=dict(img_path='images'),
            pipeline=[dict(type='LoadAnnotations')],
        ),
        'it names no folder of label maps. Set seg_map_path in it',
    ),
    'colours as text': (
        dict(metainfo=dict(classes=CLASSES, palette=['#000000', '#ff0000'])),
        'not a list of colours. Give [R, G, B]',
    ),
    'one flat list of colours': (
        dict(metainfo=dict(classes=CLASSES, palette=[0, 0, 0, 255, 0, 0])),
        'not a list of colours. Give [R, G, B]',
    ),
    'too few colours': (
        dict(metainfo=dict(classes=CLASSES, palette=[[0, 0, 0]])),
        '1 colours for 2 classes',
    ),
    'a step that denies it': (
        dict(
            reduce_zero_label=True,
            pipeline=[dict(type='LoadAnnotations', reduce_zero_label=False)],
        ),
        'train_dataloader.dataset.reduce_zero_label=True: LoadAnnotations',
    ),
}
TABLE = [
    pytest.param(make, options, said, id=f'{make.__name__}: {name}')
    for make, cases in (
        (coco, COCO | MASKS | LEFT | VALUES | CONFIGS),
        (voc, VOC),
        (segmentation, SEGMENTATION),
    )
    for name, (options, said) in cases.items()
]


def verdicts(config):
    """What the quick check says, and the errors of the thorough one."""
    try:
        check_data(config, LOOPS)
        quick = ''
    except ValueError as refused:
        quick = str(refused)
    reports = check_datasets(config.to_dict(), LOOPS, 0, Bars())
    return quick, [f for report in reports for f in report.levels(True)]


@pytest.mark.parametrize(('make', 'options', 'said'), TABLE)
def test_both_checks_agree(tmp_path, make, options, said):
    """On all that both look at; pictures are sound here."""
    quick, errors = verdicts(make(tmp_path / 'data', **options))
    assert bool(quick) == bool(errors) == bool(said)
    if said:
        texts = [f'{found.sentence}: {found.kind.remedy}' for found in errors]
        assert said in quick
        assert any(said in text for text in texts)
        for found in errors:
            named = (
                found.examples if 'paths or' in found.kind.title else [found.sentence]
            )
            assert all(text in quick for text in named)


def relabel(root, names, change):
    """Write label maps anew, their values changed."""
    for name in names:
        path = root / f'maps/{name}.png'
        labels = change(np.array(Image.open(path)))
        Image.fromarray(labels.astype(np.uint8)).save(path)


FOREGROUND_AS_255 = 'no pixel of a class but the first, and some that are ignored'


@pytest.mark.parametrize(
    ('change', 'options', 'said'),
    [
        (lambda labels: 255 * labels, {}, FOREGROUND_AS_255),
        (lambda labels: 128 * labels, {}, 'values are spread over the greys'),
        (lambda labels: labels + 1, {}, 'label values are one too many'),
        (lambda labels: 0 * labels, {}, 'no pixel of a class but the first'),
        (lambda labels: 0 * labels + 255, {}, 'without a pixel of a class'),
        (lambda labels: np.stack(3 * [labels], -1), {}, 'in three equal channels'),
        (lambda labels: labels[:, 1:], {}, 'of another size than their image'),
        (lambda labels: labels + 1, dict(reduce_zero_label=True), ''),
    ],
)
def test_label_maps_as_tools_write_them(tmp_path, change, options, said):
    """Of an exporter's masks a few show how all are written."""
    config = segmentation(tmp_path / 'data', **options)
    relabel(tmp_path / 'data', 'ab', change)
    quick, errors = verdicts(config)
    assert bool(quick) == bool(errors) == bool(said)
    assert said in quick
    for found in errors:
        assert found.sentence in quick


@pytest.mark.parametrize('foreground', [False, True])
def test_a_sample_of_label_maps_proves_nothing_of_the_others(
    tmp_path, monkeypatch, foreground
):
    """Where it looks as if all were background, the others are looked at too."""
    monkeypatch.setattr(glance, 'SAMPLED', 1)
    config = segmentation(tmp_path / 'data')
    relabel(tmp_path / 'data', 'a' if foreground else 'ab', lambda m: 255 * m)
    quick, errors = verdicts(config)
    assert bool(quick) == bool(errors) == (not foreground)


def both_loops(root, **options):
    """The same label maps to train and to evaluate on."""
    config = segmentation(root)
    config.val_dataloader = dict(dataset=dict(config.train_dataloader.dataset))
    config.val_dataloader.dataset.update(options)
    return config


def test_a_label_that_is_another_class_in_evaluation(tmp_path):
    """One tool's label maps, and 0 stands for a class in training alone."""
    quick, errors = verdicts(both_loops(tmp_path / 'data', reduce_zero_label=True))
    assert 'val_dataloader.dataset.reduce_zero_label=True: it is False in' in quick
    assert errors


def with_void(labels):
    """A row of no class, by another value than most tools write."""
    return np.where(np.arange(SIDE)[:, None] == SIDE // 2, 254, labels)


@pytest.mark.parametrize('ignored', [254, 255])
def test_a_metric_that_does_not_ignore_what_the_head_does(tmp_path, ignored):
    """Its unions would grow by all that is found there."""
    config = both_loops(tmp_path / 'data')
    relabel(tmp_path / 'data', 'ab', with_void)
    config.model = dict(decode_head=dict(num_classes=2, ignore_index=254))
    config.val_evaluator = dict(type='IoUMetric', ignore_index=ignored)
    quick, errors = verdicts(config)
    assert bool(quick) == bool(errors) == (ignored == 255)
    assert ('ignore_index of the heads and of IoUMetric' in quick) == (ignored == 255)


def test_each_metric_has_its_own_data_set(tmp_path):
    """mmdet's way of evaluating on several: refused if the order is another."""
    config = coco(tmp_path / 'data')
    parts = [config[f'{loop}_dataloader'].dataset for loop in LOOPS]
    content = json.loads((tmp_path / 'data/val.json').read_text())
    for number, entry in enumerate(content['images']):
        entry['id'] = 10 + number
    for number, entry in enumerate(content['annotations']):
        entry['image_id'] = 10 + number
    (tmp_path / 'data/val.json').write_text(json.dumps(content))
    config.val_dataloader.dataset = dict(type='ConcatDataset', datasets=parts)
    files = [f'{tmp_path}/data/{loop}.json' for loop in LOOPS]

    def metrics(order):
        return dict(
            type='MultiDatasetsEvaluator',
            dataset_prefixes=['a', 'b'],
            metrics=[dict(type='CocoMetric', ann_file=files[i]) for i in order],
        )

    config.val_evaluator = metrics([0, 1])
    assert verdicts(config) == ('', [])
    config.val_evaluator = metrics([1, 0])
    quick, errors = verdicts(config)
    assert (
        "2 images of val_dataloader.dataset.datasets.0.ann_file='train.json'" in quick
    )
    assert errors


TOO_LONG = error('tracks that are too long', 'Cut them.')


class TrackLayout(Layout):
    """A toy: a text file with the number of steps, beside one image."""

    def takes(self, entry):
        return entry.type == 'Tracks'

    def files(self, entry, limit):
        folder = os.path.dirname(entry.annotations.path)
        return {'images': [os.path.join(folder, 'map.jpg')]}

    def contents(self, entry, files, limit):
        with open(entry.annotations.path, encoding='utf-8') as file:
            if int(file.read()) > entry.options['longest']:
                yield TOO_LONG, entry.annotations.path

    def jobs(self, entry):
        return [
            Job(path, self.loader(entry)) for path in self.files(entry, 0)['images']
        ]


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (dict(), ''),
        (dict(dataset_prefixes=['a']), '2 data sets in val_dataloader'),
        (dict(dataset_prefixes=['a', 'a']), 'one occurs twice'),
        (dict(metrics=[]), '0 metrics in val_evaluator.metrics'),
        (dict(alone=True), 'is no ConcatDataset'),
    ],
)
def test_an_evaluator_of_several_data_sets(tmp_path, change, said):
    """A wrong number ends evaluation, or leaves a data set out."""
    config = coco(tmp_path / 'data')
    change = dict(change)
    parts = [config[f'{loop}_dataloader'].dataset for loop in LOOPS]
    if not change.pop('alone', False):
        config.val_dataloader.dataset = dict(type='ConcatDataset', datasets=parts)
    files = [f'{tmp_path}/data/{loop}.json' for loop in LOOPS]
    config.val_evaluator = dict(
        type='MultiDatasetsEvaluator',
        dataset_prefixes=['a', 'b'],
        metrics=[dict(type='CocoMetric', ann_file=file) for file in files],
    )
    config.val_evaluator.update(change)
    quick, errors = verdicts(config)
    assert bool(quick) == bool(errors) == bool(said)
    assert said in quick


def test_a_metric_tells_images_by_their_ids(tmp_path):
    """Of two files in one metric, images 0 and 1 of one hide those of the other."""
    config = coco(tmp_path / 'data')
    parts = [config[f'{loop}_dataloader'].dataset for loop in LOOPS]
    config.val_dataloader.dataset = dict(type='ConcatDataset', datasets=parts)
    quick, errors = verdicts(config)
    assert 'val_evaluator: 2 images of val_dataloader.dataset.datasets.1 have' in quick
    assert errors


@pytest.fixture
def tracks(tmp_path):
    save_image(tmp_path / 'map.jpg')
    (tmp_path / 'track.txt').write_text('7')
    path = str(tmp_path / 'track.txt')
    dataset = dict(type='Tracks', ann_file=path, longest=9)
    return Config(dict(train_dataloader=dict(dataset=dataset)))


@pytest.fixture
def registered():
    """One class makes a layout known to both checks."""
    register(TrackLayout)
    yield
    LAYOUTS.pop()


def test_a_new_layout_is_one_class(registered, tracks, tmp_path):
    assert verdicts(tracks) == ('', [])
    (report,) = check_datasets(tracks.to_dict(), ['train'], 0, Bars())
    assert report.images == 1
    tracks.train_dataloader.dataset.longest = 5
    quick, (found,) = verdicts(tracks)
    assert 'train_dataloader.dataset.ann_file=' in quick
    assert '1 tracks that are too long' in quick
    assert found.kind == TOO_LONG
    (tmp_path / 'map.jpg').unlink()
    assert 'it names 1 images' in verdicts(tracks)[0]


class Tracks(BaseDataset):
    """A data set of images, to both checks an unknown one."""

    def __init__(self, longest, **options):
        super().__init__(**options)

    def load_data_list(self):
        return [dict(img_path=os.path.join(os.path.dirname(self.ann_file), 'map.jpg'))]


def test_without_it_the_type_is_unknown(tracks, monkeypatch):
    monkeypatch.setitem(DATASETS.module_dict, 'Tracks', Tracks)
    tracks.train_dataloader.dataset.pipeline = [dict(type='mmcv.LoadImageFromFile')]
    (report,) = check_datasets(tracks.to_dict(), ['train'], 0, Bars())
    assert [found.kind for found in report.findings] == [UNKNOWN]


def test_every_file_of_the_folder_is_a_layout():
    names = {type(layout).__name__ for layout in LAYOUTS}
    assert names == {
        'CocoLayout',
        'VocLayout',
        'SegmentationLayout',
        'ImageFoldersLayout',
    }
    unknown = DataSetEntry('train', 'train_dataloader.dataset', 'Nothing')
    assert type(layout_of(unknown)) is Layout
