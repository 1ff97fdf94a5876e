"""How a config is pointed to another data set."""

import json

import pytest
from mmengine.config import Config

from dropblock_mm.config_files import config_path


@pytest.fixture
def data(part):
    return part('data')


@pytest.fixture
def config(table):
    """A function that reads the config of a table's row without DropBlock."""
    row = {'table3': 'scratch', 'table4': 'scratch', 'bccd': 'none'}
    return lambda name: Config.fromfile(config_path(table(name).row(row[name]).config))


def write_categories(path, names):
    categories = [{'id': 9 - i, 'name': name} for i, name in enumerate(names)]
    content = {'images': [], 'annotations': [], 'categories': categories}
    path.write_text(json.dumps(content))


def test_class_names_are_in_the_files_order(data, tmp_path):
    path = tmp_path / 'a.json'
    write_categories(path, ['zebra', 'apple'])
    assert data.read_class_names(str(path)) == ('zebra', 'apple')


def test_a_large_file_is_read_once(data, tmp_path, monkeypatch):
    path = tmp_path / 'a.json'
    write_categories(path, ['zebra', 'apple'])
    first = data.read_class_names(str(path))
    monkeypatch.delattr(data, 'json')
    assert data.read_class_names(str(path)) == first


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        (None, r'no such file\. Give --data-root'),
        ('{"categories": [', r'not a COCO annotation file \(JSONDecodeError'),
        ('{"images": []}', r"not a COCO annotation file \(KeyError: 'categories'"),
        ('{"categories": []}', 'cannot be told apart: no categories'),
        (
            '{"categories": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}',
            'cannot be told apart: names twice: a',
        ),
    ],
)
def test_bad_annotations_are_named(data, tmp_path, text, said, refusal):
    path = tmp_path / 'a.json'
    if text is not None:
        path.write_text(text)
    with pytest.raises(refusal, match=said) as error:
        data.read_class_names(str(path))
    assert str(path) in str(error.value)


def test_coco_data_reach_every_place(data, config, tmp_path):
    for name in ('t.json', 'v.json'):
        write_categories(tmp_path / name, ['cat', 'dog', 'cow'])
    given = data.Data(str(tmp_path), 't.json', 'v.json', 'ti/', 'vi/')
    cfg = config('table3')
    data.use_data(cfg, given)
    for loop, letter in (('train', 't'), ('val', 'v'), ('test', 'v')):
        dataset = cfg[f'{loop}_dataloader'].dataset
        assert dataset.data_root == str(tmp_path)
        assert dataset.ann_file == f'{letter}.json'
        assert dataset.data_prefix == dict(img=f'{letter}i/')
        assert dataset.metainfo == dict(classes=('cat', 'dog', 'cow'))
    assert cfg.val_evaluator.ann_file == str(tmp_path / 'v.json')
    assert cfg.test_evaluator.ann_file == str(tmp_path / 'v.json')
    assert cfg.model.bbox_head.num_classes == 3


def test_coco_data_are_no_lists_of_names(data, config, tmp_path, refusal):
    (tmp_path / 't.txt').write_text('000001\n000002\n')
    given = data.Data(str(tmp_path), 't.txt', 't.txt')
    with pytest.raises(refusal, match=r"t\.txt' is not a COCO annotation file"):
        data.use_data(config('table3'), given)


def test_files_must_number_the_classes_alike(data, config, tmp_path, refusal):
    write_categories(tmp_path / 't.json', ['cat', 'dog'])
    write_categories(tmp_path / 'v.json', ['dog', 'cat'])
    cfg = config('table3')
    with pytest.raises(refusal, match='in the same order'):
        data.use_data(cfg, data.Data(str(tmp_path), 't.json', 'v.json'))


def test_voc_data_replace_both_lists(data, config):
    cfg = config('table4')
    data.use_data(cfg, data.embedded_data('voc', 'scenes'))
    dataset = cfg.train_dataloader.dataset
    assert dataset.type == 'BaseSegDataset'
    assert dataset.ann_file == 'ImageSets/Segmentation/train.txt'
    assert dataset.data_prefix.seg_map_path == 'SegmentationClass'
    assert len(dataset.metainfo.classes) == cfg.model.decode_head.num_classes == 11


def test_a_root_alone_keeps_both_lists(data, config):
    cfg = config('table4')
    data.use_data(cfg, data.Data('elsewhere'))
    parts = cfg.train_dataloader.dataset.datasets
    assert [dataset.data_root for dataset in parts] == ['elsewhere', 'elsewhere']
    assert cfg.model.decode_head.num_classes == 21


def test_no_data_change_nothing(data, config):
    cfg = config('table3')
    data.use_data(cfg, data.Data())
    assert cfg.to_dict() == config('table3').to_dict()


def test_images_need_a_place(data, config, refusal):
    cfg = config('bccd')
    with pytest.raises(refusal, match=r"--train-images 'x'"):
        data.use_data(cfg, data.Data('r', train_images='x'))
