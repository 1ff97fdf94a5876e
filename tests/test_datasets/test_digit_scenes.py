"""The folder that `make_digit_scenes` writes, as readers of both layouts see it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dropblock_mm.datasets import DIGIT_CLASSES, make_digit_scenes
from dropblock_mm.datasets.digit_scenes import Settings, render_split
from dropblock_mm.datasets.layouts import voc_palette
from dropblock_mm.datasets.sources import load_sources

SPLITS = ('train', 'val')
PALETTE = voc_palette()


def label_map_of(root: Path, file_name: str) -> np.ndarray:
    path = root / 'SegmentationClass' / file_name.replace('.jpg', '.png')
    return np.asarray(Image.open(path))


class TestBytes:
    def test_same_seed_same_bytes(self, scenes, tmp_path, settings, bytes_of):
        again = make_digit_scenes(tmp_path / 'elsewhere', **settings)
        assert bytes_of(again) == bytes_of(scenes)

    def test_other_seed_other_scenes(self, scenes, tmp_path, settings, bytes_of):
        other = make_digit_scenes(tmp_path / 'other', **{**settings, 'seed': 4})
        ours, theirs = bytes_of(scenes), bytes_of(other)
        assert ours.keys() == theirs.keys()
        same = [name for name in ours if ours[name] == theirs[name]]
        assert all(name.startswith('ImageSets/') for name in same)

    def test_a_smaller_set_is_the_beginning_of_a_larger_one(
        self, scenes, tmp_path, settings
    ):
        fewer = make_digit_scenes(tmp_path / 'fewer', **{**settings, 'num_train': 2})
        for name in ('train_000000', 'train_000001', 'val_000004'):
            path = f'JPEGImages/{name}.jpg'
            assert (fewer / path).read_bytes() == (scenes / path).read_bytes()
        assert not (fewer / 'JPEGImages/train_000002.jpg').exists()


class TestCoco:
    def test_sizes_and_names(self, scenes, coco, settings):
        for split in SPLITS:
            assert len(coco[split]['images']) == settings[f'num_{split}']
            for entry in coco[split]['images']:
                image = Image.open(scenes / 'JPEGImages' / entry['file_name'])
                assert image.size == (entry['width'], entry['height']) == (96, 96)
                assert image.mode == 'RGB'
            names = [category['name'] for category in coco[split]['categories']]
            assert names == list(DIGIT_CLASSES) == list('0123456789')

    def test_every_scene_has_digits_and_every_class_occurs(self, coco):
        for split in SPLITS:
            used = {entry['image_id'] for entry in coco[split]['annotations']}
            assert used == {entry['id'] for entry in coco[split]['images']}
        labels = {entry['category_id'] for entry in coco['train']['annotations']}
        assert labels == set(range(1, 11))

    @pytest.mark.parametrize('split', SPLITS)
    def test_pycocotools_agrees(self, scenes, split):
        pycoco = pytest.importorskip('pycocotools.coco')
        mask_api = pytest.importorskip('pycocotools.mask')
        api = pycoco.COCO(str(scenes / f'annotations/instances_{split}.json'))
        assert sorted(api.getCatIds(catNms=list(DIGIT_CLASSES))) == list(range(1, 11))
        for entry in api.loadAnns(api.getAnnIds()):
            rle = api.annToRLE(entry)
            mask = api.annToMask(entry).astype(bool)
            assert mask_api.area(rle) == entry['area'] == mask.sum()
            assert mask_api.toBbox(rle).tolist() == entry['bbox']

    def test_digit_index_is_a_digit_of_that_class(self, coco):
        labels = pytest.importorskip('sklearn.datasets').load_digits().target
        for split in SPLITS:
            for entry in coco[split]['annotations']:
                assert labels[entry['digit_index']] == entry['category_id'] - 1

    def test_no_digit_is_in_both_splits(self, coco):
        used = {
            split: {entry['digit_index'] for entry in coco[split]['annotations']}
            for split in SPLITS
        }
        assert used['train'].isdisjoint(used['val'])

    def test_no_digit_is_in_both_splits_of_many_scenes(self):
        sources = load_sources()
        settings = Settings(num_train=150, num_val=150, image_size=64, seed=0)
        used = {
            split: {
                digit
                for scene in render_split(split, settings, sources)
                for digit in scene.digits.tolist()
            }
            for split in SPLITS
        }
        assert len(used['train']) > 400
        assert len(used['val']) > 250
        assert used['train'].isdisjoint(used['val'])


class TestVoc:
    def test_image_sets_list_the_files(self, scenes):
        lists = {
            name: (scenes / f'ImageSets/Segmentation/{name}.txt').read_text().split()
            for name in ('train', 'val', 'trainval')
        }
        assert lists['trainval'] == lists['train'] + lists['val']
        assert [len(lists[name]) for name in ('train', 'val')] == [12, 5]
        for folder, suffix in (('JPEGImages', 'jpg'), ('SegmentationClass', 'png')):
            found = {path.name for path in (scenes / folder).iterdir()}
            assert found == {f'{name}.{suffix}' for name in lists['trainval']}

    def test_label_maps_are_palette_images(self, scenes):
        for path in (scenes / 'SegmentationClass').iterdir():
            image = Image.open(path)
            assert image.mode == 'P'
            assert np.array_equal(np.reshape(image.getpalette(), (256, 3)), PALETTE)
            assert set(np.unique(np.asarray(image))) <= {*range(11), 255}

    def test_label_maps_agree_with_the_coco_masks(self, scenes, coco):
        mask_api = pytest.importorskip('pycocotools.mask')
        for split in SPLITS:
            images = {e['id']: e['file_name'] for e in coco[split]['images']}
            expected = {i: np.zeros((96, 96), np.uint8) for i in images}
            for entry in coco[split]['annotations']:
                rle = mask_api.frPyObjects(entry['segmentation'], 96, 96)
                mask = mask_api.decode(rle).astype(bool)
                assert not expected[entry['image_id']][mask].any(), 'masks overlap'
                expected[entry['image_id']][mask] = entry['category_id']
            for image_id, file_name in images.items():
                label_map = label_map_of(scenes, file_name)
                inside = label_map != 255
                assert np.array_equal(label_map[inside], expected[image_id][inside])
                # Borders lie outside of the digits and all around them.
                assert not expected[image_id][~inside].any()
                assert (~inside).sum() > 0

    def test_palette_is_vocs(self):
        # As in the development kit: background, aeroplane, bicycle, tv, void.
        assert PALETTE[[0, 1, 2, 20, 255]].tolist() == [
            [0, 0, 0],
            [128, 0, 0],
            [0, 128, 0],
            [0, 64, 128],
            [224, 224, 192],
        ]


class TestBadInput:
    @pytest.mark.parametrize(
        ('name', 'value'),
        [
            ('num_train', 0),
            ('num_val', -1),
            ('num_val', 2.0),
            ('image_size', 63),
            ('image_size', '128'),
            ('seed', -1),
            ('seed', True),
        ],
    )
    def test_bad_settings_are_named(self, tmp_path, name, value, settings):
        root = tmp_path / 'scenes'
        with pytest.raises(ValueError, match=f'^{name}={value!r} .* at least'):
            make_digit_scenes(root, **{**settings, name: value})
        assert not root.exists()

    def test_other_settings_do_not_replace_a_data_set(self, scenes, settings, bytes_of):
        before = bytes_of(scenes)
        with pytest.raises(ValueError, match=r'num_val=9 .*num_val=5.*delete'):
            make_digit_scenes(scenes, **{**settings, 'num_val': 9})
        assert bytes_of(scenes) == before

    def test_a_folder_of_something_else_is_not_touched(self, tmp_path, settings):
        (tmp_path / 'thesis.tex').write_text('years of work')
        with pytest.raises(FileExistsError, match=r'root=.*thesis\.tex'):
            make_digit_scenes(tmp_path, **settings)
        assert (tmp_path / 'thesis.tex').read_text() == 'years of work'

    def test_a_file_is_not_a_folder(self, tmp_path, settings):
        (tmp_path / 'scenes').write_text('a file')
        with pytest.raises(FileExistsError, match='root='):
            make_digit_scenes(tmp_path / 'scenes', **settings)

    def test_without_sklearn_the_extra_is_named(self, tmp_path, no_sklearn, settings):
        with pytest.raises(ModuleNotFoundError, match=r'dropblock_mm\[demo\]'):
            make_digit_scenes(tmp_path / 'scenes', **settings)
        assert list(tmp_path.iterdir()) == []
