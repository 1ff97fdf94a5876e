"""What check_dataset finds, and that the loaders do what it says."""

import importlib
import io
import json

import mmcv
import numpy as np
import pytest
from PIL import Image
from rich.progress import Progress

from dropblock_mm.config_files import resolve_config
from dropblock_mm.datasets.layouts import voc_palette

WIDTH, HEIGHT = 40, 30
CLASSES = ('background', 'aeroplane', 'bicycle')


@pytest.fixture
def part():
    """Gives a part of the tool, e.g. part('images')."""
    return lambda name: importlib.import_module(f'dropblock_mm.data_checks.{name}')


@pytest.fixture
def run(load_tool, tmp_path, capsys):
    """A function that writes a config, checks it, and returns status and report."""

    def check(text, *options):
        config, report = tmp_path / 'config.py', tmp_path / 'report.json'
        config.write_text(text)
        tool = load_tool('check_dataset')
        argv = [str(config), '--workers', '0', '--json', str(report), *options]
        status = tool.main(argv)
        return status, json.loads(report.read_text()), capsys.readouterr().out

    return check


def picture(seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3))
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image, kind='JPEG', **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned_exif():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def deep_png():
    pixels = np.random.default_rng(0).integers(0, 2**16, (HEIGHT, WIDTH))
    return encoded(Image.fromarray(pixels.astype(np.uint16)), 'PNG')


JPEG = encoded(picture())
# What is in the file, what is found, and the size that it is loaded with.
IMAGES = {
    'sound': (JPEG, None, (WIDTH, HEIGHT)),
    'grey': (encoded(picture().convert('L')), 'GREY', (WIDTH, HEIGHT)),
    'CMYK': (encoded(picture().convert('CMYK')), 'CMYK', (WIDTH, HEIGHT)),
    '16 bits': (deep_png(), 'DEEP', (WIDTH, HEIGHT)),
    'alpha': (
        encoded(picture().convert('RGBA'), 'PNG'),
        'ALPHA',
        (WIDTH, HEIGHT),
    ),
    'turned': (encoded(picture(), exif=turned_exif()), 'TURNED', (HEIGHT, WIDTH)),
    'empty': (b'', 'EMPTY', None),
    'a page': (b'<html>404</html>', 'BROKEN', None),
    'half': (JPEG[: len(JPEG) // 2], 'BROKEN', None),
    'no end': (JPEG[:-2], 'BROKEN', None),
    'half a PNG': (encoded(picture(), 'PNG')[:1000], 'BROKEN', None),
    'a half of zeros': (
        JPEG[: len(JPEG) // 2].ljust(len(JPEG), b'\0'),
        'CUT_SHORT',
        (WIDTH, HEIGHT),
    ),
}


@pytest.mark.parametrize(('content', 'kind', 'size'), IMAGES.values(), ids=IMAGES)
def test_images(part, tmp_path, content, kind, size):
    """The kind is right, and the loader loads or fails as we say."""
    images, path = part('images'), tmp_path / 'a.jpg'
    path.write_bytes(content)
    found = images.check_image(str(path), (WIDTH, HEIGHT), images.Loader())
    assert [k for k, _ in found.problems] == ([getattr(images, kind)] if kind else [])
    assert all(str(path) in example for _, example in found.problems)
    assert found.size == size
    if size:
        assert mmcv.imfrombytes(content).shape == (*size[::-1], 3)
    elif content:
        assert mmcv.imfrombytes(content) is None
    if kind == 'BROKEN':
        assert images.BROKEN.is_error


def test_missing_image(part, tmp_path):
    images = part('images')
    found = images.check_image(str(tmp_path / 'a.jpg'), None, images.Loader())
    assert [kind for kind, _ in found.problems] == [images.MISSING]


def test_sizes(part, tmp_path):
    images, path = part('images'), tmp_path / 'a.jpg'
    path.write_bytes(JPEG)
    found = images.check_image(str(path), (50, 50), images.Loader())
    ((kind, example),) = found.problems
    assert kind is images.OTHER_SIZE
    assert example.endswith('a.jpg: 40 x 30, annotated 50 x 50')


@pytest.mark.parametrize(
    ('annotated', 'color_type', 'kind'),
    [
        ((HEIGHT, WIDTH), 'color', 'UPRIGHT'),
        ((WIDTH, HEIGHT), 'color_ignore_orientation', None),
        ((HEIGHT, WIDTH), 'color_ignore_orientation', 'OTHER_SIZE'),
    ],
)
def test_turned_images(part, tmp_path, annotated, color_type, kind):
    images, path = part('images'), tmp_path / 'a.jpg'
    path.write_bytes(IMAGES['turned'][0])
    loader = images.Loader(color_type=color_type)
    found = images.check_image(str(path), annotated, loader)
    assert [k for k, _ in found.problems] == ([getattr(images, kind)] if kind else [])
    assert mmcv.imread(str(path), color_type).shape[1::-1] == found.size


def test_pillow_cuts_16_bits_off(part, tmp_path):
    images, path = part('images'), tmp_path / 'a.png'
    path.write_bytes(deep_png())
    found = images.check_image(str(path), None, images.Loader(backend='pillow'))
    assert [kind for kind, _ in found.problems] == [images.DEEP_PILLOW]
    assert np.median(mmcv.imread(str(path), backend='pillow')) == 255
    assert np.median(mmcv.imread(str(path))) < 200


def label_map(*values, palette=None):
    """A map in stripes of the given values."""
    pixels = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    pixels[:] = np.resize(values, HEIGHT)[:, None]
    image = Image.fromarray(pixels)
    if palette is not None:
        image.putpalette(np.asarray(palette, dtype=np.uint8).tobytes())
    return image


SWAPPED = voc_palette()[[0, 2, 1]]
GREYS = np.repeat(np.arange(256)[:, None], 3, axis=1)
LABEL_MAPS = {
    'sound': (label_map(0, 1, 2, 255, palette=voc_palette()), None),
    'no palette': (label_map(0, 1, 255), None),
    'beyond': (label_map(0, 3, 255, palette=voc_palette()), 'BEYOND'),
    'in colour': (label_map(0, 1, palette=voc_palette()).convert('RGB'), 'COLOURED'),
    'swapped': (label_map(0, 1, palette=SWAPPED), 'OTHER_PALETTE'),
    'greys': (label_map(0, 1, palette=GREYS), 'UNKNOWN_PALETTE'),
    'size': (label_map(0, 1).resize((WIDTH, HEIGHT + 1)), 'OTHER_SIZE'),
    'ignored': (label_map(255), 'ALL_IGNORED'),
    '16 bits': (Image.fromarray(np.full((HEIGHT, WIDTH), 256, np.uint16)), 'BEYOND'),
}


@pytest.fixture
def rule(part):
    palette = tuple(tuple(row) for row in voc_palette()[: len(CLASSES)].tolist())
    return part('label_maps').LabelRule(CLASSES, palette)


@pytest.mark.parametrize(('image', 'kind'), LABEL_MAPS.values(), ids=LABEL_MAPS)
def test_label_maps(part, rule, tmp_path, image, kind):
    maps, path = part('label_maps'), tmp_path / 'a.png'
    image.save(path)
    found = maps.check_label_map(str(path), (WIDTH, HEIGHT), rule)
    assert [k for k, _ in found.problems] == ([getattr(maps, kind)] if kind else [])


def test_bad_label_map_files(part, rule, tmp_path):
    maps, path = part('label_maps'), tmp_path / 'a.png'
    for content, kind in ((None, maps.MISSING), (b'', maps.BROKEN)):
        if content is not None:
            path.write_bytes(content)
        found = maps.check_label_map(str(path), None, rule)
        assert [k for k, _ in found.problems] == [kind]
    label_map(0, 1).save(path, 'JPEG', quality=100)
    found = maps.check_label_map(str(path), None, rule)
    assert maps.LOSSY in [k for k, _ in found.problems]


def test_reduced_zero_label(part):
    """ADE20K's way: 0 is ignored, 1 is the first class."""
    rule = part('label_maps').LabelRule(CLASSES, reduce_zero_label=True)
    assert [v for v in (0, 1, 3, 4, 255) if rule.is_valid(v)] == [0, 1, 3, 255]
    assert [v for v in (0, 1, 3, 4, 255) if rule.is_class(v)] == [1, 3]


COCO_CONFIG = """
default_scope = 'mmdet'
dataset = dict(
    type='CocoDataset', data_root={root!r}, ann_file='all.json',
    metainfo=dict(classes=('cat', 'dog')), data_prefix=dict(img='images/'),
    pipeline=[
        dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True)])
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dict(test_mode=True, **dataset))
"""
# Kinds that end training are found in 'bad', the others only counted.
GOOD = ('sound', 'grey', 'CMYK', '16 bits', 'alpha')
BAD = ('turned', 'empty', 'a page', 'half', 'a half of zeros')


def write_coco(root, names):
    """A data set of these images, a box in each but the last."""
    (root / 'images').mkdir(parents=True)
    for name in names:
        (root / 'images' / name).write_bytes(IMAGES[name][0])
    images = [
        dict(id=i, file_name=name, width=WIDTH, height=HEIGHT)
        for i, name in enumerate(names)
    ]
    annotations = [
        dict(id=i + 1, image_id=i, category_id=1 + i % 2, bbox=[5, 5, 20, 20], area=400)
        for i in range(len(names) - 1)
    ]
    content = dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
    )
    (root / 'all.json').write_text(json.dumps(content))
    return COCO_CONFIG.format(root=f'{root}/')


def titles(found):
    return {
        finding['title']: finding['count']
        for finding in found['datasets'][0]['findings']
    }


def test_coco(run, tmp_path):
    """Every kind is counted and named; evaluating on the images of training too."""
    status, found, said = run(write_coco(tmp_path / 'data', GOOD + BAD))
    assert status == 1
    assert titles(found) == {
        'images of 0 bytes': 1,
        'images that cannot be decoded': 2,
        'JPEGs without an end': 1,
        'images that EXIF has turned, annotated as they were before': 1,
        'grey-scale images': 1,
        'CMYK images': 1,
        'images of 16 bits': 1,
        'images with an alpha channel': 1,
        'images without annotations': 1,
    }
    (data,) = found['datasets']
    assert data['keys'] == ['train_dataloader.dataset', 'val_dataloader.dataset']
    assert data['images'] == 10
    assert [f['is_error'] for f in data['findings']] == [True] * 4 + [False] * 5
    assert 'error 2 images that cannot be decoded (' in said
    assert '5 errors, 5 warnings in 1 data set. Mend' in said


def test_warnings_alone_let_training_start(run, tmp_path):
    status, found, said = run(write_coco(tmp_path / 'data', GOOD))
    assert (status, found['errors'], found['warnings']) == (0, 0, 5)
    assert 'Training can start.' in said


def test_workers_find_the_same(run, tmp_path):
    text = write_coco(tmp_path / 'data', GOOD + BAD)
    alone = run(text)
    assert run(text, '--workers', '2') == alone


def test_a_config_without_data(run, capsys):
    with pytest.raises(SystemExit):
        run("default_scope = 'mmdet'", '--loops', 'train', 'val')
    assert 'has no train_dataloader and no val_dataloader.' in capsys.readouterr().err


def test_options_without_a_value(run, capsys):
    with pytest.raises(SystemExit):
        run("default_scope = 'mmdet'", '--cfg-options', 'data_root')
    assert "'data_root' is not KEY=VALUE" in capsys.readouterr().err


def test_the_bar_advances_with_every_image(run, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(
        Progress, 'add_task', lambda self, text, total: shown.append((text, total))
    )
    monkeypatch.setattr(Progress, 'advance', lambda self, task: shown.append('image'))
    run(write_coco(tmp_path / 'data', GOOD))
    assert shown == [('train_dataloader.dataset', 5)] + ['image'] * 5


def test_paths_are_looked_at_first(run, tmp_path):
    text = write_coco(tmp_path / 'data', GOOD)
    option = 'train_dataloader.dataset.ann_file=no.json'
    status, found, said = run(text, '--loops', 'train', '--cfg-options', option)
    assert status == 1
    assert found['datasets'][0]['images'] == 0
    assert "train_dataloader.dataset.ann_file='no.json': no such file" in said


def test_images_in_both_loops(run, tmp_path):
    """Of other data sets: the same images in another file."""
    text = write_coco(tmp_path / 'data', GOOD)
    (tmp_path / 'data/val.json').write_text((tmp_path / 'data/all.json').read_text())
    option = 'val_dataloader.dataset.ann_file=val.json'
    _, found, said = run(text, '--cfg-options', option)
    assert len(found['datasets']) == 2
    assert 'warning 5 images of training that evaluation uses too (' in said


def test_unknown_types_are_said_to_be_unknown(run, tmp_path):
    text = write_coco(tmp_path / 'data', GOOD)
    option = 'train_dataloader.dataset.type=WIDERFaceDataset'
    argv = ('--loops', 'train', '--cfg-options', option)
    status, _, said = run(text, *argv)  # its file is a list of XML files
    assert status == 1
    assert 'WIDERFaceDataset cannot read its annotations' in said
    (tmp_path / 'data/names.txt').write_text('a\n')
    write_wider_face(tmp_path / 'data/images', 'a', 'cat')
    listed = 'train_dataloader.dataset.ann_file=names.txt'
    status, found, _ = run(text, *argv, listed)
    assert status == 0
    assert titles(found) == {'type of data set that is unknown here': 1}


def write_wider_face(root, name, label):
    (root / 'Annotations').mkdir()
    (root / 'parade').mkdir()
    (root / 'parade' / f'{name}.jpg').write_bytes(JPEG)
    corners = '<xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>20</ymax>'
    (root / 'Annotations' / f'{name}.xml').write_text(
        f'<annotation><folder>parade</folder><size><width>{WIDTH}</width>'
        f'<height>{HEIGHT}</height></size><object><name>{label}</name>'
        f'<bndbox>{corners}</bndbox></object></annotation>'
    )


def test_settings_that_do_not_fit_the_data(run, tmp_path):
    text = write_coco(tmp_path / 'data', GOOD)
    text += 'model = dict(bbox_head=dict(num_classes=1))\n'
    status, found, said = run(text, '--loops', 'train')
    assert (status, found['errors']) == (1, 1)
    assert 'model.bbox_head.num_classes=1: train_dataloader.dataset has 2' in said


SEG_CONFIG = """
default_scope = 'mmseg'
train_dataloader = dict(dataset=dict(
    type='BaseSegDataset', data_root={root!r}, ann_file={names!r},
    metainfo=dict(classes={classes!r}, palette={palette!r}),
    data_prefix=dict(img_path='images', seg_map_path='labels'),
    pipeline=[dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]))
"""


def write_segmentation(root, names):
    for folder in ('images', 'labels'):
        (root / folder).mkdir(parents=True)
    for name in names:
        (root / f'images/{name}.jpg').write_bytes(JPEG)
        LABEL_MAPS[name][0].save(root / f'labels/{name}.png')
    (root / 'names.txt').write_text('\n'.join(names))
    palette = voc_palette()[: len(CLASSES)].tolist()
    return dict(root=str(root), classes=CLASSES, palette=palette)


@pytest.mark.parametrize('names', ['names.txt', ''], ids=['list', 'folder'])
def test_segmentation(run, tmp_path, names):
    settings = write_segmentation(tmp_path / 'data', list(LABEL_MAPS))
    (tmp_path / 'data/labels/ignored.png').unlink()
    status, found, _ = run(SEG_CONFIG.format(names=names, **settings))
    assert status == 1
    assert titles(found) == {
        'data set with label values above 255': 1,
        'label maps that are not there': 1,
        'label maps of another size than their image': 1,
        'label maps with values that are no class': 2,
        'label maps in colour': 1,
        "label maps whose palette gives an index another class's colour": 1,
        "label maps whose palette is not the classes'": 1,
    }


def test_segmentation_without_images(run, tmp_path):
    settings = write_segmentation(tmp_path / 'data', ['sound'])
    (tmp_path / 'data/names.txt').write_text('\n\n')
    status, found, _ = run(SEG_CONFIG.format(names='names.txt', **settings))
    assert (status, titles(found)) == (1, {'data set without images': 1})


def test_classes_without_a_pixel(run, tmp_path):
    settings = write_segmentation(tmp_path / 'data', ['no palette'])
    status, found, said = run(SEG_CONFIG.format(names='names.txt', **settings))
    assert (status, titles(found)) == (0, {'classes without a pixel': 1})
    assert 'warning 1 classes without a pixel (bicycle)' in said


@pytest.mark.parametrize(
    ('name', 'loop', 'errors', 'warnings'),
    [
        ('mmdet::_base_/datasets/coco_detection.py', 'train', 0, 6),
        ('mmseg::_base_/datasets/pascal_voc12.py', 'train', 0, 7),
    ],
)
def test_sample_data(run, shared_data, name, loop, errors, warnings):
    """Real images. What is counted: crowd boxes, and classes that do not occur."""
    scope = name.partition('::')[0]
    folder = {'mmdet': 'coco_tiny', 'mmseg': 'voc2012_mini/VOCdevkit/VOC2012'}[scope]
    option = f'{loop}_dataloader.dataset.data_root={shared_data / folder}'
    text = f'_base_ = {resolve_config(name)!r}\ndefault_scope = {scope!r}'
    status, found, _ = run(text, '--loops', loop, '--cfg-options', option)
    assert (status, found['errors'], found['warnings']) == (0, errors, warnings)
