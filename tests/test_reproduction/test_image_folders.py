"""How a classifier's config is pointed to image folders and lists."""

import pytest
from mmengine.config import Config

from dropblock_mm.config_files import config_path
from dropblock_mm.reproduction.data import NUM_DIGITS, Data, embedded_data, use_data
from dropblock_mm.reproduction.image_folders import always_right, few_of
from dropblock_mm.reproduction.tables import TABLE_1

CLASSES = ('ant', 'bee', 'cat', 'dog', 'emu', 'fox')


@pytest.fixture
def cfg():
    return Config.fromfile(config_path(TABLE_1.row('label-smooth').config))


@pytest.fixture
def folders(tmp_path):
    """A function that makes class folders with images, whose content is not read."""

    def make(split, classes=CLASSES, number=4):
        for name in classes:
            folder = tmp_path / split / name
            folder.mkdir(parents=True)
            for i in range(number):
                (folder / f'{i}.JPG').touch()
        return str(tmp_path)

    return make


def test_folders_reach_every_place(cfg, folders):
    root = folders('train')
    folders('test')
    use_data(cfg, Data(root, val_images='test'))
    for loop, folder in (('train', 'train'), ('val', 'test'), ('test', 'test')):
        dataset = cfg[f'{loop}_dataloader'].dataset
        assert dataset.type == 'CustomDataset'
        assert (dataset.data_root, dataset.data_prefix) == (root, folder)
        assert dataset.metainfo.classes == CLASSES
        assert 'split' not in dataset
    head = cfg.model.head
    assert head.num_classes == head.loss.num_classes == 6
    assert cfg.data_preprocessor.num_classes == 6
    assert cfg.val_evaluator.topk == (1, 5)


def test_a_root_alone_is_laid_out_as_imagenet(cfg, folders):
    root = folders('train')
    folders('val')
    use_data(cfg, Data(root))
    assert cfg.val_dataloader.dataset.data_prefix == 'val'
    assert 'ann_file' not in cfg.val_dataloader.dataset


def test_imagenets_own_lists_are_taken(cfg, folders, tmp_path):
    root = folders('train')
    (tmp_path / 'meta').mkdir()
    (tmp_path / 'meta/val.txt').write_text('a.jpg 0\nb.jpg 5\n')
    use_data(cfg, Data(root))
    assert cfg.val_dataloader.dataset.ann_file == 'meta/val.txt'
    assert cfg.model.head.num_classes == 6


def test_lists_number_the_classes(cfg, tmp_path):
    (tmp_path / 't.txt').write_text('a b.jpg 0\nc.jpg 7\n')
    (tmp_path / 'v.txt').write_text('d.jpg 1\n')
    use_data(cfg, Data(str(tmp_path), 't.txt', 'v.txt', 'images', 'images'))
    dataset = cfg.train_dataloader.dataset
    assert (dataset.ann_file, dataset.data_prefix) == ('t.txt', 'images')
    assert dataset.metainfo.classes == tuple('01234567')
    assert cfg.model.head.num_classes == 8


def test_named_classes_have_the_last_word(cfg, tmp_path):
    use_data(cfg, Data(str(tmp_path), 't.txt', 'v.txt', classes=('a', 'b', 'c')))
    assert cfg.train_dataloader.dataset.metainfo.classes == ('a', 'b', 'c')
    assert cfg.model.head.num_classes == 3


def test_fewer_than_five_classes_have_no_top_5(cfg, folders):
    root = folders('train', CLASSES[:2])
    folders('val', CLASSES[:2])
    assert always_right(cfg) == {}
    use_data(cfg, Data(root))
    assert cfg.val_evaluator.topk == cfg.test_evaluator.topk == (1,)
    assert cfg.model.head.topk == (1,)
    assert always_right(cfg) == {'accuracy/top5': 100.0}


def test_one_number_is_a_topk_too(cfg, folders):
    cfg.val_evaluator.topk = cfg.model.head.topk = 1
    assert always_right(cfg) == {}  # a thousand classes, whatever is evaluated
    root = folders('train', CLASSES[:2])
    folders('val', CLASSES[:2])
    use_data(cfg, Data(root))
    assert cfg.val_evaluator.topk == cfg.model.head.topk == (1,)
    cfg.val_evaluator.topk = 1
    assert always_right(cfg) == {'accuracy/top5': 100.0}


@pytest.mark.parametrize(
    ('classes', 'said'),
    [
        (CLASSES[1:], r"val' lacks ant\. Make the folders"),
        ((*CLASSES, 'yak'), r"train' lacks yak\. Make the folders"),
        ((), 'holds no folders of classes'),
        (None, r'no such folder\. Give --data-root'),
    ],
)
def test_folders_must_be_of_the_same_classes(
    cfg, folders, tmp_path, classes, said, refusal
):
    root = folders('train')
    if classes is not None:
        (tmp_path / 'val').mkdir()
        folders('val', classes)
    with pytest.raises(refusal, match=said):
        use_data(cfg, Data(root))


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        (None, r'no such file\. Give --data-root'),
        ('a.jpg cat\n', 'is not a list with'),
        ('', 'is not a list with'),
    ],
)
def test_bad_lists_are_named(cfg, folders, tmp_path, text, said, refusal):
    root = folders('train')
    if text is not None:
        (tmp_path / 'v.txt').write_text(text)
    with pytest.raises(refusal, match=said) as error:
        use_data(cfg, Data(root, val_ann='v.txt'))
    assert 'v.txt' in str(error.value)


def test_a_list_may_not_have_more_labels_than_folders(cfg, folders, tmp_path, refusal):
    root = folders('train')
    (tmp_path / 'v.txt').write_text('a.jpg 6\n')
    with pytest.raises(refusal, match=r'labels up to 6 .* there are 6 class folders'):
        use_data(cfg, Data(root, val_ann='v.txt'))


def test_a_few_images_are_of_several_classes(cfg, folders):
    root = folders('train')
    folders('val', number=1)
    use_data(cfg, Data(root))
    train, val = (cfg[f'{loop}_dataloader'].dataset for loop in ('train', 'val'))
    assert few_of(train, 8, 0) == [0, 3, 6, 9, 12, 15, 18, 21]
    assert few_of(val, 8, 0) == 8, 'there are fewer'


def test_the_embedded_images_are_counted_before_they_are_made(cfg, tmp_path):
    use_data(cfg, embedded_data('folders', str(tmp_path / 'none')))
    dataset = cfg.train_dataloader.dataset
    before = few_of(dataset, 8, NUM_DIGITS)
    from dropblock_mm.reproduction.data import make_embedded_data

    pytest.importorskip('sklearn')
    make_embedded_data('folders', str(tmp_path / 'none'))
    assert few_of(dataset, 8, 0) == before
    assert len({index // 2 for index in before}) == 8


def test_a_smoke_run_is_the_same_model_but_small(part):
    row = TABLE_1.row('cutout')
    data = embedded_data('folders', 'images')
    changes = part('plan').Changes(data, smoke=True)
    small = part('plan').changed_config(row.config, 0, changes)
    assert small.model.backbone.depth == 50
    assert small.model.head.in_channels == 2048 // 8
    steps = small.train_dataloader.dataset.pipeline
    assert steps[1].scale == 128
    cutout = next(step for step in steps if step.type == 'Cutout')
    assert cutout.shape == 64
    assert small.val_dataloader.dataset.pipeline[2].crop_size == 128
    assert small.auto_scale_lr.enable
