"""The layout of classification, as mmpretrain's data set reads it."""

import os
import zlib
from typing import ClassVar

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from PIL import Image

from dropblock_mm.data_checks.agreement import disagreements
from dropblock_mm.data_checks.duplicates import COPIED, OTHER_CLASS, SHARED
from dropblock_mm.data_checks.inventory import inventory
from dropblock_mm.data_checks.layouts import image_folders as kinds
from dropblock_mm.data_checks.layouts import layout_of
from dropblock_mm.data_checks.problems import UNUSABLE, tally
from dropblock_mm.data_checks.quick import check_data
from dropblock_mm.data_checks.thorough import ODD, check_datasets

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')


class CustomDataset(BaseDataset):
    """With the arguments of mmpretrain's, which is not among the test's packages."""

    def __init__(
        self,
        data_root='',
        data_prefix='',
        ann_file='',
        with_label=True,
        extensions=EXTENSIONS,
        **options,
    ):
        self.with_label, self.extensions = with_label, extensions
        super().__init__(
            ann_file, data_root=data_root, data_prefix=data_prefix, **options
        )

    def load_data_list(self):
        raise NotImplementedError


class ImageNet(CustomDataset):
    METAINFO: ClassVar = dict(classes=('cat', 'dog'))

    def __init__(self, data_root='', split='', data_prefix='', ann_file='', **options):
        super().__init__(data_root, data_prefix, ann_file, **options)


@pytest.fixture(autouse=True)
def registered():
    """Under the names that configs use, for the time of a test."""
    for name in ('CustomDataset', 'ImageNet'):
        DATASETS.register_module(name=name, module=globals()[name])
    yield
    for name in ('CustomDataset', 'ImageNet'):
        DATASETS.module_dict.pop(name)


@pytest.fixture
def root(tmp_path):
    """Two classes of two images for training, and of one for evaluation."""
    for split, count in (('train', 2), ('val', 1)):
        for name in ('cat', 'dog'):
            for i in range(count):
                save(tmp_path / split / name / f'{split}{i}.jpg')
    return tmp_path


def save(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = zlib.crc32('/'.join(path.parts[-3:]).encode())
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, 'JPEG')


def config(root, loops=('train',), **changes):
    loaders = {
        f'{loop}_dataloader': dict(
            dataset=dict(type='CustomDataset', data_root=str(root), data_prefix=loop)
            | changes
        )
        for loop in loops
    }
    return dict(default_scope='mmengine', **loaders)


def found(cfg):
    """The kinds of problems of the first data set."""
    (entry, *_) = inventory(cfg, ['train']).data_sets
    problems = layout_of(entry).look(entry, 10**6).problems
    return {finding.kind: finding.count for finding in tally(problems)}


def all_errors(cfg, loops=('train', 'val')):
    """What the comparison of all data sets says."""
    listed = inventory(cfg, loops)
    looks = [layout_of(entry).look(entry, 10**6) for entry in listed.data_sets]
    return list(disagreements(listed, looks, 10**6))


class Bars:
    def begin(self, description, total):
        pass

    def advance(self):
        pass


def test_sound_folders(root):
    cfg = config(root, ('train', 'val'), metainfo=dict(classes=('cat', 'dog')))
    assert found(cfg) == {}
    assert all_errors(cfg) == []
    reports = check_datasets(cfg, ['train', 'val'], 0, Bars())
    assert [(r.images, r.findings) for r in reports] == [(4, []), (2, [])]


def test_a_root_that_is_the_folder_of_classes(root):
    cfg = config(root / 'train', data_prefix='')
    assert found(cfg) == {}
    (report,) = check_datasets(cfg, ['train'], 0, Bars())
    assert report.images == 4


@pytest.mark.parametrize(
    ('prefix', 'root_is', 'key'),
    [
        ('no', '.', 'train_dataloader.dataset.data_prefix='),
        ('', 'no', 'train_dataloader.dataset.data_root='),
        (dict(img_path='no'), '.', 'train_dataloader.dataset.data_prefix.img_path='),
    ],
)
def test_folders_that_are_not_there(root, prefix, root_is, key):
    cfg = config(root / root_is, data_prefix=prefix)
    (entry,) = inventory(cfg, ['train']).data_sets
    ((kind, text),) = layout_of(entry).look(entry, 10**6).problems
    assert kind == UNUSABLE
    assert text.startswith(key)
    assert 'no such folder' in text


def test_a_class_folder_is_missing(root):
    cfg = config(root, metainfo=dict(classes=('cat', 'cow', 'dog')))
    assert found(cfg) == {kinds.OTHER_NUMBER: 1}


def test_classes_in_another_order_than_folders(root):
    cfg = config(root, metainfo=dict(classes=('dog', 'cat')))
    assert found(cfg) == {kinds.OTHER_ORDER: 2}


def test_folders_named_unlike_their_classes(root):
    """As ImageNet's are: n01440764 is the tench."""
    assert found(config(root, metainfo=dict(classes=('Felis', 'Canis')))) == {}


def test_an_empty_class_folder(root):
    (root / 'train/zebra').mkdir()
    assert found(config(root)) == {kinds.EMPTY_CLASS: 1}


def test_a_class_folder_that_may_not_be_read(root, monkeypatch):
    """To os.walk, and so to a count of its images, it is empty."""
    closed = str(root / 'train/dog')
    monkeypatch.setattr(os, 'access', lambda path, mode: path != closed)
    assert found(config(root)) == {kinds.CLOSED: 1}


def test_extensions(root):
    """Case does not matter; files of another kind are left out, in silence."""
    save(root / 'train/cat/b.JPG')
    assert found(config(root)) == {}
    save(root / 'train/cat/c.webp')
    (root / 'train/cat/.DS_Store').write_bytes(b'')
    assert found(config(root)) == {kinds.OTHER_EXTENSION: 1}
    assert found(config(root, extensions=('.WEBP', '.jpg'))) == {}


def test_hidden_folders_become_classes(root):
    (root / 'train/.ipynb_checkpoints').mkdir()
    problems = found(config(root))
    assert problems == {kinds.HIDDEN: 1, kinds.EMPTY_CLASS: 1}


def test_links(root):
    save(root / 'elsewhere/a.jpg')
    os.symlink(root / 'elsewhere', root / 'train/emu')
    assert found(config(root)) == {kinds.LINKED: 1}
    os.symlink(root / 'train/cat', root / 'train/kitten')
    assert found(config(root)) == {kinds.LINKED: 1, kinds.TWO_CLASSES: 1}
    os.symlink(root / 'nowhere', root / 'train/yak')
    assert found(config(root))[kinds.NOWHERE] == 1


def test_a_link_into_itself_ends(root):
    os.symlink(root / 'train', root / 'train/cat/all')
    assert found(config(root)) == {}


def test_classes_that_differ_between_splits(root):
    """Folders number the labels: a dog is 1 in training and 0 in evaluation."""
    for path in sorted((root / 'val/cat').iterdir()):
        path.unlink()
    (root / 'val/cat').rmdir()
    (said,) = all_errors(config(root, ('train', 'val')))
    assert said.startswith('val_dataloader.dataset: its labels are the classes (dog)')
    assert 'train_dataloader.dataset are (cat, dog)' in said


def test_num_classes(root):
    cfg = config(root) | dict(model=dict(head=dict(num_classes=1)))
    (said,) = all_errors(cfg, ['train'])
    assert said.startswith('model.head.num_classes=1: train_dataloader.dataset has 2')
    cfg['model']['head']['num_classes'] = 2
    assert all_errors(cfg, ['train']) == []


def test_images_in_two_splits(root):
    """Also where the folder of evaluation is a link to that of training."""
    os.symlink(root / 'train', root / 'test')
    cfg = config(root, ('train', 'test'))
    reports = check_datasets(cfg, ['train', 'test'], 0, Bars())
    (shared,) = reports[1].findings
    assert (shared.kind, shared.count) == (SHARED, 4)


def test_copies_in_two_splits(root):
    """Class folders of splits are copied into each other under other names."""
    copied = root / 'val/dog/other.jpg'
    copied.write_bytes((root / 'train/dog/train0.jpg').read_bytes())
    cfg = config(root, ('train', 'val'))
    train, val = check_datasets(cfg, ['train', 'val'], 0, Bars())
    assert not train.findings
    (finding,) = val.findings
    assert (finding.kind, finding.count) == (COPIED, 1)
    assert str(copied) in finding.examples[0]


def test_copies_in_two_classes(root):
    """Of one split, by folders or by a list; in one class a copy does no harm."""
    content = (root / 'train/cat/train0.jpg').read_bytes()
    for name in ('cat', 'dog'):
        (root / 'train' / name / 'copy.jpg').write_bytes(content)
    (root / 'list.txt').write_text('cat/train0.jpg 0\ncat/copy.jpg 0\ndog/copy.jpg 1\n')
    for cfg in (config(root), config(root, ann_file='list.txt')):
        (report,) = check_datasets(cfg, ['train'], 0, Bars())
        (finding,) = report.findings
        assert (finding.kind, finding.count) == (OTHER_CLASS, 1)
        assert finding.examples[0].startswith(f'{root}/train/dog/copy.jpg of ')
    cfg['train_dataloader']['dataset']['with_label'] = False
    (root / 'list.txt').write_text('cat/copy.jpg\ndog/copy.jpg\n')
    assert check_datasets(cfg, ['train'], 0, Bars())[0].findings == []


def test_a_head_with_more_outputs_than_class_folders(root, capsys):
    """As stock configs have them; both checks say it, once for all splits."""
    cfg = config(root, ('train', 'val')) | dict(model=dict(head=dict(num_classes=1000)))
    settings, *others = check_datasets(cfg, ['train', 'val'], 0, Bars())
    (finding,) = settings.findings
    assert (finding.kind, finding.count) == (ODD, 1)
    assert finding.examples[0].startswith('model.head.num_classes=1000: train_datal')
    assert [report.findings for report in others] == [[], []]
    check_data(Config(cfg), ['train', 'val'])
    assert capsys.readouterr().err == f'warning: {finding.examples[0]}\n'
    cfg['model']['head']['num_classes'] = 2
    check_data(Config(cfg), ['train', 'val'])
    assert len(check_datasets(cfg, ['train', 'val'], 0, Bars())) == 2
    assert capsys.readouterr().err == ''


def test_images_beside_the_folders(root):
    save(root / 'train/lost.JPG')
    (root / 'train/notes.txt').write_text('not an image')
    assert found(config(root)) == {kinds.BESIDE: 1}


@pytest.mark.parametrize('names', [('cow', 'emu'), ('cat', 'dog', 'emu')])
def test_classes_of_evaluation_that_training_lacks(root, names):
    """Of other names altogether, or behind the others, where labels agree so far."""
    for path in sorted((root / 'val').rglob('*'), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    for name in names:
        save(root / 'val' / name / 'val0.jpg')
    (said,) = all_errors(config(root, ('train', 'val')))
    assert said.startswith('val_dataloader.dataset: train_dataloader.dataset has no')
    assert 'emu' in said
    assert 'cat' not in said


def test_lists_need_no_folders_that_are_alike(root):
    cfg = config(root, ('train', 'val'))
    (root / 'val.txt').write_text('val0.jpg 1\n')
    cfg['val_dataloader']['dataset'].update(ann_file='val.txt', data_prefix='val/dog')
    assert all_errors(cfg) == []


def test_the_loss_and_the_head_count_alike(root):
    loss = dict(type='LabelSmoothLoss', num_classes=1000)
    cfg = config(root) | dict(model=dict(head=dict(num_classes=2, loss=loss)))
    (said,) = all_errors(cfg, ['train'])
    assert said.startswith('model.head.loss.num_classes=1000: the head has 2 outputs')
    loss['num_classes'] = 2
    assert all_errors(cfg, ['train']) == []


@pytest.mark.parametrize(('topk', 'sound'), [((1, 5), False), (5, False), ((1,), True)])
def test_top_5_of_two_classes(root, topk, sound):
    cfg = config(root, ('train', 'val')) | dict(
        model=dict(head=dict(num_classes=2)),
        val_evaluator=dict(type='Accuracy', topk=topk),
    )
    said = all_errors(cfg)
    assert len(said) == (not sound)
    assert all(text.startswith(f'val_evaluator.topk={topk!r}: ') for text in said)


def write_list(root, text):
    (root / 'list.txt').write_text(text)
    return config(root, ann_file='list.txt', metainfo=dict(classes=('cat', 'dog')))


@pytest.mark.parametrize(
    ('text', 'problems'),
    [
        ('cat/train0.jpg 0\ndog/train0.jpg 1\n', {}),
        ('cat/train0.jpg 0\ncat/no.jpg 0\n', {'images that are not there': 1}),
        ('cat/train0.jpg 0\n\n', {'empty lines in a list of names': 1}),
        ('cat/train0.jpg cat\n', {kinds.BAD_LINE.title: 1}),
        ('cat/train0.jpg\n', {kinds.BAD_LINE.title: 1}),
        ('cat/train0.jpg 2\n', {kinds.NOT_A_LABEL.title: 1}),
        ('cat/train0.jpg -1\n', {kinds.NOT_A_LABEL.title: 1}),
        ('cat/train0.jpg 0\ncat/train0.jpg 1\n', {kinds.TWO_LABELS.title: 1}),
        ('cat/train0.jpg 1\ndog/train0.jpg 1\n', {}),
        ('\n', {'data set without images': 1}),
    ],
)
def test_lists(root, text, problems):
    named = {kind.title: n for kind, n in found(write_list(root, text)).items()}
    assert named == problems


def test_labels_that_count_from_1(root):
    """Of 3 classes, as the largest label seems to say, there would be one too many."""
    cfg = write_list(root, 'cat/train0.jpg 1\ndog/train0.jpg 2\n')
    assert found(cfg) == {kinds.FROM_ONE: 1, kinds.NOT_A_LABEL: 1}
    del cfg['train_dataloader']['dataset']['metainfo']
    assert found(cfg) == {kinds.FROM_ONE: 1}


def test_a_folder_in_the_place_of_a_list(root):
    cfg = write_list(root, 'cat/train0.jpg 0\n')
    cfg['train_dataloader']['dataset']['ann_file'] = 'train'
    (entry,) = inventory(cfg, ['train']).data_sets
    ((kind, text),) = layout_of(entry).look(entry, 10**6).problems
    assert kind == UNUSABLE
    assert text.startswith("train_dataloader.dataset.ann_file='train': a folder")


def test_a_link_to_an_image_that_is_gone(root):
    os.symlink('gone.jpg', root / 'train/cat/a.jpg')
    (entry,) = inventory(config(root), ['train']).data_sets
    ((_, example),) = layout_of(entry).look(entry, 10**6).problems
    assert example.endswith('train/cat/a.jpg, a link to gone.jpg')


def test_the_class_that_differs_is_named_behind_the_tenth(root):
    names = [f'{i:02}' for i in range(12)]
    for split in ('train', 'val'):
        for name in names:
            save(root / split / name / 'a.jpg')
    (root / 'val/10/a.jpg').unlink()
    (root / 'val/10').rmdir()
    (said,) = all_errors(config(root, ('train', 'val')))
    assert 'The first that differs is 11, not 10.' in said


def test_labels_of_a_list_count_where_no_classes_are_named(root):
    (root / 'list.txt').write_text('cat/train0.jpg 0\ndog/train0.jpg 6\n')
    cfg = config(root, ann_file='list.txt')
    cfg['model'] = dict(head=dict(num_classes=6))
    (said,) = all_errors(cfg, ['train'])
    assert said.startswith('model.head.num_classes=6: train_dataloader.dataset has 7')


def test_a_list_without_labels(root):
    cfg = write_list(root, 'cat/train0.jpg\n')
    cfg['train_dataloader']['dataset']['with_label'] = False
    assert found(cfg) == {}


def test_listed_names_in_other_letters(root):
    """The file system knows upper case from lower."""
    cfg = write_list(root, 'cat/TRAIN0.jpg 0\n')
    (entry,) = inventory(cfg, ['train']).data_sets
    ((_, example),) = layout_of(entry).look(entry, 10**6).problems
    assert example.endswith('cat/TRAIN0.jpg, which is called train0.jpg there')


@pytest.mark.parametrize('listed', [False, True])
def test_splits_of_imagenet(root, listed):
    """``split`` stands for a folder, and for a list in meta/ if that is there."""
    if listed:
        (root / 'meta').mkdir()
        (root / 'meta/train.txt').write_text('cat/train0.jpg 0\n')
    cfg = config(root)
    cfg['train_dataloader']['dataset'] = dict(
        type='ImageNet', data_root=str(root), split='train'
    )
    (entry,) = inventory(cfg, ['train']).data_sets
    assert entry.folders['img_path'].path == str(root / 'train')
    assert (entry.annotations is not None) == listed
    assert entry.classes == ('cat', 'dog')
    assert found(cfg) == {}
    assert len(list(layout_of(entry).jobs(entry))) == (1 if listed else 4)


def test_unreadable_images(root):
    (root / 'train/cat/train0.jpg').write_bytes(b'')
    (root / 'train/cat/train1.jpg').write_bytes(b'<html>404</html>')
    (report,) = check_datasets(config(root), ['train'], 0, Bars())
    assert {finding.kind.title for finding in report.levels(True)} == {
        'images of 0 bytes',
        'images that cannot be decoded',
    }


def test_the_home_folder(root, monkeypatch):
    """mmpretrain expands ~ in a prefix and in the name of a list."""
    monkeypatch.setenv('HOME', str(root))
    (root / 'list.txt').write_text('cat/train0.jpg 0\n')
    cfg = config(root, data_prefix='~/train', ann_file='~/list.txt')
    assert found(cfg) == {}
    cfg = config(root, data_prefix='~/no')
    assert list(found(cfg)) == [UNUSABLE]
