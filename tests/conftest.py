"""Fixtures that several test files share."""

import importlib
import json
import os
import re
import signal
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, MODELS, DefaultScope
from PIL import Image

from dropblock_mm.testing.processes import Fault, start_script
from dropblock_mm.testing.small_models import write_model
from dropblock_mm.testing.toy import ToyImages, toy_classifier

MODELS.register_module(name='TestToyClassifier', module=toy_classifier, force=True)
DATASETS.register_module(name='TestToyImages', module=ToyImages, force=True)

# Where there is no GPU, Triton's kernels run in its interpreter. Triton asks once,
# when the kernels are defined.
if not torch.cuda.is_available():
    os.environ.setdefault('TRITON_INTERPRET', '1')

REPO_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def repo_root() -> Path:
    return REPO_ROOT


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """The folder of real sample data sets, which are not part of the repository."""
    default = REPO_ROOT.parent / 'shared' / 'data'
    folder = Path(os.environ.get('DROPBLOCK_MM_TEST_DATA', default))
    if not folder.is_dir():
        pytest.skip(
            f'no sample data at {folder}; set DROPBLOCK_MM_TEST_DATA to the folder '
            'that holds coco_tiny/, bccd/ and voc2012_mini/'
        )
    return folder


@pytest.fixture(scope='session')
def runs_of():
    """A function that makes small models of random weights, as runs leave them."""

    def runs_of(root, images):
        made = {}

        def make(library, seed=0):
            pytest.importorskip(library)
            key = f'{library}_{seed}'
            if key not in made:
                made[key] = write_model(root / key, library, images, seed)
            return made[key]

        return make

    return runs_of


def pytest_configure() -> None:
    # The tensors of the tests are so small that threads only get in their way.
    torch.set_num_threads(1)


SAFE_GLOBALS = torch.serialization.get_safe_globals()


@pytest.fixture(autouse=True)
def as_in_a_new_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a command sets for all that follows: scope, and safe loading."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())
    monkeypatch.delenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', raising=False)
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(SAFE_GLOBALS)


TOY_CONFIG = """
default_scope = 'mmengine'
model = dict(type='TestToyClassifier')
train_dataloader = dict(
    batch_size=2, dataset=dict(type='TestToyImages'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    collate_fn=dict(type='default_collate'))
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01))
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', interval=1))
"""


@pytest.fixture
def toy_config(tmp_path):
    """A config of 2 epochs of 4 iterations on a narrow ResNet; no files are read."""
    # MMEngine keeps loggers by experiment name, which has the file's name in it.
    path = tmp_path / f'{tmp_path.name}.py'
    path.write_text(TOY_CONFIG)
    return str(path)


@pytest.fixture
def load_tool(monkeypatch):
    """A function that imports a command; what it changes is undone."""
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
    monkeypatch.setenv('LOCAL_RANK', '0')

    def load(name):
        return importlib.import_module(f'dropblock_mm.commands.{name}')

    return load


@pytest.fixture
def refused(load_tool, capsys):
    """A function that runs a tool, expects a refusal and returns its message."""

    def refuse(tool, *argv):
        with pytest.raises(SystemExit) as stop:
            load_tool(tool).main(argv)
        assert stop.value.code == 2
        said = capsys.readouterr().err
        assert 'Traceback' not in said
        return said.partition('error: ')[2]

    return refuse


@pytest.fixture
def run_tool(repo_root, tmp_path):
    """A function that runs a tool in a process and returns its output.

    The process is forked from one that has imported the libraries. That the tools start
    from nothing, too, is shown by the tests of the launchers, of ``reproduce`` and of
    ``python -m dropblock_mm``.
    """

    def run(name, *argv):
        output = tmp_path / f'{name.replace("/", "_")}.txt'
        script = repo_root / f'tools/{name}.py'
        process = start_script(script, argv, output, folder=tmp_path)
        process.join()
        assert process.exitcode == 0, output.read_text()[-4000:]
        return output.read_text()

    return run


@pytest.fixture
def train_until(repo_root, tmp_path):
    """A function that trains and is killed where it opens a file to write it."""

    def train(file, *argv):
        output = tmp_path / 'killed.txt'
        fault = Fault('open', rf'/{re.escape(file)}\.part$', 'kill')
        process = start_script(repo_root / 'tools/train.py', argv, output, fault)
        process.join()
        assert process.exitcode == -signal.SIGKILL, output.read_text()[-4000:]

    return train


@pytest.fixture
def scalars():
    """A function that reads what a run logged, oldest first."""

    def read(work_dir):
        logs = sorted(Path(work_dir).glob('*/vis_data/scalars.json'))
        lines = [line for log in logs for line in log.read_text().splitlines()]
        return [json.loads(line) for line in lines]

    return read


@pytest.fixture
def detection_files(tmp_path) -> dict[str, Path]:
    """Three images; one object each in the first two, and predictions for these."""
    for index in range(3):
        picture = np.full((40, 50, 3), 60 * index, np.uint8)
        Image.fromarray(picture).save(tmp_path / f'{index}.png')
    coco = {
        'images': [{'id': index, 'file_name': f'{index}.png'} for index in range(3)],
        'categories': [{'id': 4, 'name': 'three'}, {'id': 9, 'name': 'eight'}],
        'annotations': [
            {'image_id': 0, 'category_id': 4, 'bbox': [5, 5, 10, 20]},
            {'image_id': 1, 'category_id': 9, 'bbox': [20, 10, 10, 20]},
        ],
    }
    results = [
        {'image_id': 0, 'category_id': 4, 'bbox': [5, 5, 10, 18], 'score': 0.9},
        {'image_id': 0, 'category_id': 9, 'bbox': [5, 5, 10, 18], 'score': 0.1},
        {'image_id': 1, 'category_id': 4, 'bbox': [20, 10, 10, 20], 'score': 0.8},
    ]
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    (tmp_path / 'results.json').write_text(json.dumps(results))
    return {
        'ann_file': tmp_path / 'coco.json',
        'image_dir': tmp_path,
        'results_file': tmp_path / 'results.json',
    }


@pytest.fixture
def label_map_files(tmp_path) -> tuple[Path, Path]:
    """A VOC folder of three images, and predictions for them, of 6 x 8 pixels."""
    folder, predictions = tmp_path / 'voc', tmp_path / 'val'
    for name in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (folder / name).mkdir(parents=True)
    predictions.mkdir()
    names = folder / 'ImageSets/Segmentation/val.txt'
    names.write_text('a\nb\nc\n')
    for index, name in enumerate('abc'):
        picture = np.full((6, 8, 3), 60 * index, np.uint8)
        Image.fromarray(picture).save(folder / f'JPEGImages/{name}.jpg')
        truth = np.full((6, 8), index, np.uint8)
        truth[0] = 255
        Image.fromarray(truth).save(folder / f'SegmentationClass/{name}.png')
        Image.fromarray(np.full((6, 8), 1, np.uint8)).save(predictions / f'{name}.png')
    return folder, predictions
