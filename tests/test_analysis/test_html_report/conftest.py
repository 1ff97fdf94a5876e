"""A run's folder as MMEngine leaves it, without a training."""

import html.parser
import zipfile

import pytest

from dropblock_mm.analysis.html_report import curves
from dropblock_mm.testing.training_logs import made_up_rows, write_log

CONFIG = """
custom_hooks = [
    dict(
        block_size=3,
        targets=[
            dict(gamma_scale=0.25, module='backbone.layer3'),
            dict(module='backbone.layer4'),
        ],
        type='dropblock_mm.DropBlockInjectionHook'),
    dict(keep_prob=0.9, type='dropblock_mm.KeepProbScheduleHook'),
]
default_scope = 'mmdet'
model = dict(backbone=dict(depth=18, type='ResNet'), type='RetinaNet')
optim_wrapper = dict(optimizer=dict(lr=0.002, type='AdamW'), type='OptimWrapper')
randomness = dict(seed=7)
train_cfg = dict(max_epochs=3, type='EpochBasedTrainLoop')
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        dataset=dict(data_root='data/<scenes>/', type='mmdet.CocoDataset'),
        type='RepeatDataset'))
"""
MACHINE = """2026/01/31 23:59:59 - mmengine - INFO -
System environment:
    Python: 3.11.7
    PyTorch: 2.14.1
    MMEngine: 0.10.7
"""
STARTED = '20200131_235959'


@pytest.fixture
def run_folder(tmp_path):
    """A function that makes the folder of a finished run."""

    def make(name='run', rows=None):
        folder = tmp_path / name
        write_log(folder, STARTED, made_up_rows() if rows is None else rows)
        (folder / 'config.py').write_text(CONFIG)
        (folder / STARTED / f'{STARTED}.log').write_text(MACHINE)
        with zipfile.ZipFile(folder / 'epoch_3.pth', 'w') as archive:
            archive.writestr('data.pkl', b'')
        return folder

    return make


@pytest.fixture
def cheap_pictures(monkeypatch):
    """Spare the time to draw curves, where their numbers and words are looked at."""
    monkeypatch.setattr(curves, 'png', lambda figure: b'PNG')


class Reader(html.parser.HTMLParser):
    """Collects what a page loads, its pictures, its tables and its text."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.pictures, self.tags, self.words = [], [], [], []
        self.attributes = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append(tag)
        self.attributes.append(found)
        self.addresses += [found[k] for k in ('src', 'href') if k in found]
        if tag == 'img':
            self.pictures.append(found)

    def tags_of(self, kind):
        """Return the attributes of each tag of a kind."""
        both = zip(self.tags, self.attributes, strict=True)
        return [found for tag, found in both if tag == kind]

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return ' '.join(' '.join(self.words).split())


@pytest.fixture
def read():
    return Reader
