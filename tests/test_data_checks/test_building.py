"""The thorough check says of data that no layout knows what the start of train says."""

import json
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from PIL import Image

from dropblock_mm.data_checks import loaded
from dropblock_mm.data_checks.build_errors import naming_bad_data
from dropblock_mm.data_checks.building import NOT_BUILT
from dropblock_mm.data_checks.layouts.base import UNKNOWN
from dropblock_mm.data_checks.quick import check_data
from dropblock_mm.data_checks.thorough import check_datasets
from dropblock_mm.errors import RefusedError

Bars = type('Bars', (), {'begin': lambda *_: None, 'advance': lambda _: None})


class OwnFormat(BaseDataset):
    """A list of what mmengine is to hold."""

    def load_data_list(self):
        with open(self.ann_file) as file:
            return [self.parse_data_info(info) for info in json.load(file)]


class MultiLabelDataset(OwnFormat):
    """Its labels are a list, as those of mmpretrain's are."""


@pytest.fixture(autouse=True)
def types(monkeypatch):
    for kind in (OwnFormat, MultiLabelDataset):
        monkeypatch.setitem(DATASETS.module_dict, kind.__name__, kind)


def start_of_training(config):
    """What train refuses in its order: paths, then what is built, then what it has."""
    try:
        check_data(config, ['train'])
        with naming_bad_data(config, ['train']):
            dataset = DATASETS.build(config.train_dataloader.dataset)
        loader = SimpleNamespace(dataset=dataset)
        hooks = []
        runner = SimpleNamespace(train_dataloader=loader, val_loop=None)
        runner.register_hook = lambda hook, priority: hooks.append(hook)
        loaded.check_loaded_data(runner)
        hooks[0].before_train(runner)
    except RefusedError as error:
        return str(error)
    return ''


BOX = dict(bbox=[1, 1, 9, 9], bbox_label=0, ignore_flag=0)
SOUND = dict(img_path='a.jpg', instances=[BOX])
CASES = {
    'sound': (SOUND, {}, ''),
    'missing': (SOUND | dict(img_path='no.jpg'), {}, '1 files are missing'),
    'empty': (SOUND | dict(img_path='empty.jpg'), {}, '1 images of 0 bytes'),
    'short': (SOUND | dict(img_path='short.jpg'), {}, 'that cannot be decoded'),
    'none left': (None, dict(serialize_data=False), 'no image is left'),
    'none to hold': (None, {}, 'no image is left'),
    'no steps': (SOUND, dict(pipeline=[]), 'its pipeline is empty'),
    'ignored': (
        SOUND | dict(instances=[BOX | dict(ignore_flag=1)]),
        {},
        'no object is left to learn',
    ),
    'flat': (SOUND | dict(instances=[BOX | dict(bbox=[1, 1, 1, 9])]), {}, 'no area'),
    'label': (
        dict(img_path='a.jpg', gt_label=[2]),
        dict(type='MultiLabelDataset', metainfo=dict(classes=['a', 'b'])),
        '1 labels of MultiLabelDataset are none',
    ),
    'unread': (7, {}, 'OwnFormat cannot read its annotations'),
}


@pytest.mark.parametrize(('info', 'options', 'said'), CASES.values(), ids=CASES)
def test_check_and_start_of_training_agree(tmp_path, info, options, said):
    Image.new('RGB', (9, 9)).save(tmp_path / 'a.jpg')
    (tmp_path / 'empty.jpg').touch()
    (tmp_path / 'short.jpg').write_bytes((tmp_path / 'a.jpg').read_bytes()[:-2])
    if isinstance(info, dict):
        info = info | dict(img_path=str(tmp_path / info['img_path']))
    listed = tmp_path / 'own.json'
    listed.write_text(json.dumps([] if info is None else [info]))
    step = dict(type='mmcv.LoadImageFromFile')
    dataset = dict(type='OwnFormat', ann_file=str(listed), pipeline=[step]) | options
    config = Config(dict(train_dataloader=dict(dataset=dataset)))
    start = start_of_training(config)
    reports = check_datasets(config.to_dict(), ['train'], 0, Bars())
    found = [f for report in reports for f in report.findings]
    assert UNKNOWN in [f.kind for f in found]
    errors = [text for f in found if f.kind.is_error for text in f.examples]
    assert bool(start) == bool(errors) == bool(said)
    assert said in start
    assert all(text in start for text in errors)


def test_a_type_that_writes_where_the_data_lie_is_not_built(tmp_path):
    pytest.importorskip('mmdet.datasets')
    (tmp_path / 'train.odgt').write_text('{"ID": "no", "gtboxes": []}')
    dataset = dict(
        type='mmdet.CrowdHumanDataset',
        data_root=str(tmp_path),
        ann_file='train.odgt',
        data_prefix=dict(img=''),
    )
    config = dict(train_dataloader=dict(dataset=dataset))
    before = sorted(tmp_path.iterdir())
    reports = check_datasets(config, ['train'], 0, Bars())
    assert [f.kind for r in reports for f in r.findings] == [NOT_BUILT, UNKNOWN]
    assert before == sorted(tmp_path.iterdir())
    (tmp_path / 'id_hw_train.json').write_text('{"no": [9, 9]}')
    settings, report = check_datasets(config, ['train'], 0, Bars())
    assert [f.kind for f in report.findings] == [UNKNOWN]
    assert '1 files are missing' in settings.findings[0].text
