"""Training on data as users bring them: told of at once, or counted, or named."""

import io
import json

import numpy as np
import pytest
from PIL import Image, ImageOps

from dropblock_mm.config_files import resolve_config
from dropblock_mm.data_checks import glance, quick
from dropblock_mm.testing.small_detector import small_detector

SIDE = 64
COCO = (
    small_detector(2)
    + """
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    dataset=dict(
        data_root={root!r}, ann_file='all.json', data_prefix=dict(img='images/'),
        metainfo=dict(classes=('cat', 'dog')),
        filter_cfg=dict(filter_empty_gt=False),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='Resize', scale=(64, 64)),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackDetInputs')]))
val_dataloader = None
val_cfg = None
val_evaluator = None
test_dataloader = None
test_cfg = None
test_evaluator = None
train_cfg = dict(max_epochs=1)
default_hooks = dict(
    logger=dict(interval=1), checkpoint=dict(interval=1000, save_last=False))
"""
)
SEGMENTATION = """
_base_ = {base!r}
default_scope = 'mmseg'
norm_cfg = dict(type='BN')
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    pretrained=None,
    backbone=dict(depth=18, base_channels=8, stem_channels=8, norm_cfg=norm_cfg),
    decode_head=dict(in_channels=64, channels=8, num_classes=21, norm_cfg=norm_cfg),
    auxiliary_head=dict(
        in_channels=32, channels=8, num_classes=21, norm_cfg=norm_cfg))
train_dataloader = dict(
    batch_size=2, num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='PascalVOCDataset', data_root={root!r}, ann_file='names.txt',
        data_prefix=dict(img_path='images', seg_map_path='labels'),
        pipeline=[
            dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
            dict(type='PackSegInputs')]))
train_cfg = dict(by_epoch=True, max_epochs=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
"""


def picture(mode='RGB', size=(SIDE, SIDE)):
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3))
    return Image.fromarray(pixels.astype(np.uint8)).convert(mode)


def encoded(image, kind='JPEG', **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(picture(size=(SIDE, 48)), exif=exif)


def loaded_size(content):
    """As the loader has it, turned upright; of damaged ones that of the others."""
    try:
        width, height = ImageOps.exif_transpose(Image.open(io.BytesIO(content))).size
    except OSError:
        width = height = SIDE
    return dict(width=width, height=height)


ODD_IMAGES = {
    'grey.jpg': encoded(picture('L')),
    'cmyk.jpg': encoded(picture('CMYK')),
    'deep.png': encoded(
        Image.fromarray(np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE)),
        'PNG',
    ),
    'alpha.png': encoded(picture('RGBA'), 'PNG'),
    'turned.jpg': turned(),
    'unannotated.jpg': encoded(picture()),
}


def box(number, **changes):
    found = dict(id=number, image_id=0, category_id=1, bbox=[9, 9, 30, 30], area=900)
    return found | changes


ODD_BOXES = [
    box(101, bbox=[9, 9, 0, 30]),
    box(102, bbox=[90, 9, 30, 30]),
    box(103, bbox=[50, 50, 30, 30]),
    box(104, iscrowd=1),
    box(105, image_id=77),
    box(106, category_id=77),
]


@pytest.fixture
def coco(tmp_path):
    """A function that writes a data set and its config, and returns the latter."""

    def write(images, boxes=()):
        root = tmp_path / 'data'
        (root / 'images').mkdir(parents=True)
        for name, content in images.items():
            (root / 'images' / name).write_bytes(content)
        listed = [
            dict(id=i, file_name=name, **loaded_size(content))
            for i, (name, content) in enumerate(images.items())
        ]
        content = dict(
            images=listed,
            annotations=[box(i + 1, image_id=i) for i in range(len(images) - 1)],
            categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
        )
        content['annotations'] += boxes
        (root / 'all.json').write_text(json.dumps(content))
        config = tmp_path / f'{tmp_path.name}.py'
        config.write_text(COCO.format(root=f'{root}/'))
        return config

    return write


@pytest.fixture
def train(load_tool, tmp_path):
    """A function that trains in this process."""

    def run(config):
        argv = [str(config), '--work-dir', str(tmp_path / 'run')]
        load_tool('train').main(argv)

    return run


def test_oddities_are_counted_and_trained_on(coco, train, tmp_path, scalars, capsys):
    train(coco(ODD_IMAGES, ODD_BOXES))
    warned = capsys.readouterr().err
    for count in (
        '1 boxes without an area',
        '1 boxes outside their image',
        '1 boxes that stick out of their image by more than a pixel',
        '1 crowd boxes',
        '1 annotations of an image that the file does not list',
        '1 annotations of a category that the file does not list',
        '1 categories without instances',
        '1 images without annotations',
    ):
        assert count in warned
    steps = [line for line in scalars(tmp_path / 'run') if 'loss' in line]
    assert len(steps) == 3
    assert all(np.isfinite(line['loss']) for line in steps)


def test_a_truncated_image_ends_training_at_once(coco, refused, tmp_path):
    whole = encoded(picture())
    config = coco({'whole.jpg': whole, 'cut.jpg': whole[: len(whole) // 2]})
    said = refused('train', str(config), '--work-dir', str(tmp_path / 'run'))
    assert '1 images that cannot be decoded (' in said
    assert 'images/cut.jpg: image file is truncated' in said
    assert 'Copy or download them again' in said


@pytest.mark.parametrize('workers', [0, 1])
def test_an_image_damaged_within_is_named(coco, train, capsys, workers):
    """By its turn: it ends as a JPEG does. check_dataset.py finds it before."""
    whole = encoded(picture())
    config = coco({'whole.jpg': whole, 'bad.jpg': b'?' * 99 + whole[99:]})
    config.write_text(config.read_text().replace('workers=0', f'workers={workers}'))
    with pytest.raises(AssertionError, match=r'failed to load image: .*/bad\.jpg'):
        train(config)
    said = capsys.readouterr().err
    assert "images/bad.jpg' is damaged, or no image. Copy or download it again." in said
    assert 'tools/misc/check_dataset.py looks into all files' in said


@pytest.mark.parametrize('large', [False, True], ids=['small', 'large'])
def test_a_missing_image_ends_training_at_once(
    coco, refused, tmp_path, monkeypatch, large
):
    """Also where the annotation file is too large to be read before the data set is."""
    config = coco({'a.jpg': encoded(picture()), 'b.jpg': b'', 'c.jpg': b''})
    (tmp_path / 'data/images/b.jpg').unlink()
    if large:
        monkeypatch.setattr(quick, 'PARSED_BYTES', 0)
    said = refused('train', str(config), '--work-dir', str(tmp_path / 'run'))
    assert 'images/b.jpg' in said
    if large:
        assert '1 files are missing' in said
        assert '1 images of 0 bytes' in said
        assert 'images/c.jpg' in said


def label_map(value, **changes):
    labels = np.full((SIDE, SIDE), value, dtype=np.uint8)
    image = Image.fromarray(labels)
    return image.resize(changes.get('size', image.size)).convert(
        changes.get('mode', image.mode)
    )


BAD_MAPS = {
    'label': (label_map(30), 'Target 30 is out of bounds', 'values that are no class'),
    'colour': (label_map(20, mode='RGB'), '', 'in three equal channels'),
    'size': (label_map(20, size=(SIDE, SIDE // 2)), '', 'of another size'),
}


@pytest.fixture
def segmentation(tmp_path):
    """A function that writes a sound label map and a bad one, and a config."""

    def write(bad):
        root = tmp_path / 'data'
        for folder in ('images', 'labels'):
            (root / folder).mkdir(parents=True)
        for name, image in (('good', label_map(20)), ('bad', bad)):
            (root / f'images/{name}.jpg').write_bytes(encoded(picture()))
            image.save(root / f'labels/{name}.png')
        (root / 'names.txt').write_text('good\nbad\n')
        config = tmp_path / f'{tmp_path.name}.py'
        base = resolve_config('mmseg::_base_/models/fcn_r50-d8.py')
        config.write_text(SEGMENTATION.format(root=str(root), base=base))
        return config

    return write


@pytest.mark.parametrize('kind', BAD_MAPS)
def test_bad_label_maps_end_training_at_once(segmentation, refused, tmp_path, kind):
    bad, _, told = BAD_MAPS[kind]
    config = segmentation(bad)
    said = refused('train', str(config), '--work-dir', str(tmp_path / 'run'))
    assert told in said
    assert 'labels/bad.png' in said


@pytest.mark.parametrize('kind', BAD_MAPS)
def test_bad_label_maps_are_named(segmentation, train, capsys, monkeypatch, kind):
    """Those that the sample left out; PyTorch's error does not name the image."""
    bad, fails, _ = BAD_MAPS[kind]
    monkeypatch.setattr(glance, 'SAMPLED', 0)
    with pytest.raises((IndexError, RuntimeError, ValueError), match=fails):
        train(segmentation(bad))
    said = capsys.readouterr().err
    assert 'labels/bad.png' in said
    assert 'tools/misc/check_dataset.py' in said
    if fails:
        assert 'bad.png: 1 values, the largest 30' in said
