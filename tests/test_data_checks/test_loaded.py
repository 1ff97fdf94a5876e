import io
import os
from types import SimpleNamespace

import pytest
from mmcv.transforms import LoadImageFromFile
from mmengine.dataset import BaseDataset, ConcatDataset, RepeatDataset
from PIL import Image

from dropblock_mm.data_checks.images import Loader, check_image
from dropblock_mm.data_checks.label_maps import LabelRule, check_label_map
from dropblock_mm.data_checks.loaded import (
    check_loaded_data,
    innermost,
    loaded_problems,
    nothing_to_learn,
)
from dropblock_mm.data_checks.loaded_targets import flat_boxes, wrong_labels
from dropblock_mm.testing.toy import toy_runner


class Listed(BaseDataset):
    """A data set of given paths."""

    def __init__(self, infos, **options):
        self.infos = infos
        super().__init__(**options)

    def load_data_list(self):
        return self.infos


@pytest.fixture
def paths(tmp_path):
    found = [str(tmp_path / f'{name}.jpg') for name in 'abc']
    for path in found:
        with open(path, 'wb') as file:
            file.write(b'... \xff\xd9')  # as a JPEG ends
    return found


def problems(infos, **options):
    return list(loaded_problems(Listed(infos, **options), 'train_dataloader'))


def test_files_that_are_there(paths):
    assert problems([dict(img_path=path) for path in paths]) == []


def test_missing_and_empty_files(paths, tmp_path):
    os.remove(paths[1])
    open(paths[2], 'w').close()
    os.symlink(tmp_path / 'nowhere', tmp_path / 'd.jpg')
    infos = [dict(img_path=path) for path in [*paths, str(tmp_path / 'd.jpg')]]
    missing, empty = problems(infos)
    assert missing.startswith('train_dataloader: 2 files are missing')
    assert 'b.jpg' in missing
    assert empty.startswith(f'train_dataloader: 1 images of 0 bytes ({paths[2]})')


@pytest.mark.parametrize('local_rank', ['0', '1'])
def test_files_that_are_cut_short(paths, monkeypatch, local_rank):
    """One process of a machine reads them."""
    monkeypatch.setenv('LOCAL_RANK', local_rank)
    with open(paths[1], 'wb') as file:
        file.write(b'a half')
    found = problems([dict(img_path=path) for path in paths])
    if local_rank == '0':
        (said,) = found
        assert f'1 images that cannot be decoded ({paths[1]}: not an image)' in said
    else:
        assert found == []


def test_damaged_files_in_the_words_of_the_thorough_check(tmp_path):
    whole = io.BytesIO()
    Image.new('L', (40, 40), 7).save(whole, 'PNG')
    half, page = str(tmp_path / 'half.png'), str(tmp_path / 'page.jpg')
    for path, content in ((half, whole.getvalue()[:60]), (page, b'<html>404</html>')):
        with open(path, 'wb') as file:
            file.write(content)
    infos = [dict(img_path=page, seg_map_path=half, seg_fields=[])]
    of_image, of_map = problems(infos)
    ((kind, text),) = check_image(page, None, Loader()).problems
    assert of_image == f'train_dataloader: 1 {kind.title} ({text}). {kind.remedy}'
    ((kind, text),) = check_label_map(half, None, LabelRule(())).problems
    assert of_map == f'train_dataloader: 1 {kind.title} ({text}). {kind.remedy}'


def test_label_maps_of_segmentation(paths):
    info = dict(img_path=paths[0], seg_map_path='/nowhere/a.png')
    assert problems([info]) == []
    assert '/nowhere/a.png' in problems([info | dict(seg_fields=[])])[0]


def test_what_is_not_on_this_disk(paths):
    assert problems([dict(img_path='s3://bucket/a.jpg'), dict(other=1)]) == []
    assert list(loaded_problems(object(), 'train_dataloader')) == []


def test_nothing_is_left():
    assert 'no image is left of Listed' in problems([], serialize_data=False)[0]


def test_a_pipeline_that_reads_elsewhere():
    """The data set itself says nothing of the storage."""
    step = LoadImageFromFile(backend_args=dict(backend='petrel'))
    infos = [dict(img_path='/nowhere/a.jpg')]
    assert problems(list(infos))
    assert problems(list(infos), pipeline=[step]) == []


@pytest.mark.parametrize(
    ('flags', 'refused'), [([1, 1], True), ([1, 0], False), ([], True), (None, False)]
)
def test_no_object_is_left(flags, refused):
    """Of all data sets together: one of background is no mistake."""
    info = dict(img_path='a.jpg')
    if flags is not None:
        info['instances'] = [dict(ignore_flag=flag) for flag in flags]
    part = Listed([info], ann_file='a.json')
    assert bool(nothing_to_learn([part, part])) == refused
    sound = Listed([dict(img_path='b.jpg', instances=[dict(ignore_flag=0)])])
    assert nothing_to_learn([part, sound]) == []


def test_wrappers(paths):
    parts = [Listed([dict(img_path=path)]) for path in paths]
    assert list(innermost(ConcatDataset(parts))) == parts
    assert list(innermost(RepeatDataset(parts[0], times=3))) == parts[:1]
    nested = SimpleNamespace(dataset=SimpleNamespace(datasets=parts))
    assert list(innermost(nested)) == parts


def test_training_ends_before_it_begins(tmp_path):
    runner = toy_runner(tmp_path, [])
    check_loaded_data(runner)
    runner.train_dataloader.dataset.get_data_info = lambda _: dict(img_path='/no.jpg')
    with pytest.raises(
        ValueError, match=r"8 files are missing|1 files are missing \('"
    ):
        runner.train()
    assert runner.iter == 0


def test_a_pipeline_without_steps(tmp_path):
    runner = toy_runner(tmp_path, [])
    check_loaded_data(runner)
    dataset = runner.train_dataloader.dataset
    dataset.pipeline = SimpleNamespace(transforms=[])
    dataset.get_data_info = lambda _: {}
    with pytest.raises(ValueError, match=r'train_dataloader\.dataset: its pipeline is'):
        runner.train()
    assert runner.iter == 0


def test_training_goes_on_otherwise(tmp_path):
    runner = toy_runner(tmp_path, [])
    check_loaded_data(runner)
    runner.train()
    assert runner.iter == 8


@pytest.mark.parametrize(
    ('changes', 'found'),
    [
        ({}, 0),
        ({'bbox': [3, 3, 3, 9]}, 1),
        ({'bbox': [3, 9, 9, 3]}, 1),
        ({'bbox': [3, 3, 3, 9], 'ignore_flag': 1}, 0),
        ({'bbox': None}, 0),
    ],
)
def test_boxes_without_an_area(paths, changes, found):
    sound = dict(bbox=[1, 1, 9, 9], bbox_label=0, ignore_flag=0)
    infos = [dict(img_path=paths[0], instances=[sound, sound | changes])]
    texts = list(flat_boxes(Listed(infos)))
    assert len(texts) == found
    assert all(paths[0] in text and '1 boxes of Listed' in text for text in texts)


class MultiLabelDataset(Listed):
    """Its labels are a list, as those of mmpretrain's are."""


@pytest.mark.parametrize(
    ('label', 'is_wrong'),
    [
        ([0, 1], False),
        ([], False),
        (1, False),
        ([2], True),
        ([-1], True),
        (['a'], True),
        ([True], True),
        (None, True),
    ],
)
def test_labels_that_are_no_class(paths, label, is_wrong):
    infos = [dict(img_path=paths[0], gt_label=label)]
    classes = dict(classes=('a', 'b'))
    texts = list(wrong_labels(MultiLabelDataset([*infos], metainfo=classes)))
    assert len(texts) == is_wrong
    assert all('from 0 to 1' in text and paths[0] in text for text in texts)
    assert not list(wrong_labels(Listed(infos, metainfo=classes)))
