"""The folder that `make_digit_images` writes, as a classifier's data set reads it."""

import json

import numpy as np
import pytest
from mmengine.registry import DATASETS, DefaultScope
from PIL import Image

from dropblock_mm.datasets import DIGIT_CLASSES, make_digit_images, make_digit_scenes
from dropblock_mm.errors import RefusedValueError

pytest.importorskip('sklearn', reason='the images are made from its digits')
SETTINGS = {'num_train': 23, 'num_val': 10, 'image_size': 32, 'seed': 1}


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    return make_digit_images(tmp_path_factory.mktemp('data') / 'images', **SETTINGS)


def test_classes_take_turns(images):
    for split, counts in (('train', [3, 3, 3, *[2] * 7]), ('val', [1] * 10)):
        folders = sorted((images / split).iterdir())
        assert [folder.name for folder in folders] == list(DIGIT_CLASSES)
        assert [len(list(folder.iterdir())) for folder in folders] == counts


def test_images_have_the_size(images):
    paths = sorted(images.rglob('*.jpg'))
    assert len(paths) == 33
    for path in paths:
        image = Image.open(path)
        assert (image.size, image.mode) == ((32, 32), 'RGB')
    assert len({path.read_bytes() for path in paths}) == 33


def test_the_same_settings_give_the_same_bytes(images, tmp_path, bytes_of):
    again = make_digit_images(tmp_path / 'again', **SETTINGS)
    assert bytes_of(again) == bytes_of(images)


def test_more_images_begin_with_the_fewer(images, tmp_path):
    more = make_digit_images(tmp_path / 'more', **{**SETTINGS, 'num_train': 24})
    for path in (images / 'train').rglob('*.jpg'):
        other = more / path.relative_to(images)
        assert other.read_bytes() == path.read_bytes()


def test_a_complete_folder_is_left_alone(images):
    manifest = images / 'manifest.json'
    before = manifest.stat().st_mtime_ns
    make_digit_images(images, **SETTINGS)
    assert manifest.stat().st_mtime_ns == before
    assert json.loads(manifest.read_text())['recipe']['num_train'] == 23


def test_a_damaged_folder_is_made_again(images, tmp_path, bytes_of):
    root = make_digit_images(tmp_path / 'images', **SETTINGS)
    next(root.rglob('*.jpg')).write_bytes(b'')
    make_digit_images(root, **SETTINGS)
    assert bytes_of(root) == bytes_of(images)


def test_other_settings_are_refused(images):
    with pytest.raises(RefusedValueError, match=r'image_size=64.*digit images in'):
        make_digit_images(images, **{**SETTINGS, 'image_size': 64})


def test_every_class_has_an_image(tmp_path):
    with pytest.raises(RefusedValueError, match='num_val=9 of the digit images'):
        make_digit_images(tmp_path / 'few', num_val=9)


def test_images_are_not_taken_for_scenes(tmp_path):
    settings = {'num_train': 10, 'num_val': 10, 'image_size': 64}
    root = make_digit_images(tmp_path / 'images', **settings)
    with pytest.raises(FileExistsError, match=r'other than digit scenes \(train, val'):
        make_digit_scenes(root, **settings)


def test_mmpretrain_reads_the_folders(images):
    pytest.importorskip('mmpretrain.datasets')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        dataset = DATASETS.build(
            dict(
                type='dropblock_mm.DigitImages',
                root=str(images),
                **SETTINGS,
                dataset=dict(
                    type='CustomDataset',
                    data_root=str(images),
                    data_prefix='val',
                    pipeline=[dict(type='LoadImageFromFile')],
                ),
            )
        )
    assert dataset.metainfo['classes'] == DIGIT_CLASSES
    labels = [dataset[i]['gt_label'] for i in range(len(dataset))]
    assert np.array_equal(labels, range(10))
