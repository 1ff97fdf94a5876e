"""Runs whose files are made at once, for what a series decides and writes."""

import importlib
import sys

import pytest
import torch
from mmengine.config import Config

from dropblock_mm.errors import RefusedError
from dropblock_mm.testing.training_logs import write_log

TOY_RUN = """
default_scope = 'mmengine'
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2)
"""


@pytest.fixture
def part():
    """Gives a part of the tool, e.g. part('state')."""
    return lambda name: importlib.import_module(f'dropblock_mm.reproduction.{name}')


@pytest.fixture
def refusal():
    """What the tool raises where it refuses."""
    return RefusedError


@pytest.fixture
def table(part):
    """Gives a table by its name."""
    return lambda name: part('tables').TABLES[name]


@pytest.fixture
def toy_run(part, table, tmp_path):
    """A function that makes a run of two epochs; its files are not there yet."""

    def make(row='scratch', seed=0):
        name = f'{row}_seed{seed}'
        config = tmp_path / 'configs' / f'{name}.py'
        cfg = Config.fromstring(TOY_RUN, '.py')
        table3 = table('table3')
        return part('plan').Run(table3.row(row), seed, tmp_path / name, config, cfg)

    return make


@pytest.fixture
def save():
    """A function that leaves a checkpoint of an epoch, as MMEngine does."""

    def leave(run, epoch):
        run.work_dir.mkdir(exist_ok=True)
        path = run.work_dir / f'epoch_{epoch}.pth'
        content = {'meta': {'epoch': epoch, 'iter': 4 * epoch}, 'message_hub': {}}
        torch.save({**content, 'state_dict': {'weight': torch.rand(1000)}}, path)
        (run.work_dir / 'last_checkpoint').write_text(str(path))
        return path

    return leave


@pytest.fixture
def log_evaluation():
    """A function that leaves a log of an epoch and of an evaluation after it."""

    def leave(run, epoch, scale=1.0, started='20200101_000000'):
        numbers = {'bbox_mAP': 0.1, 'bbox_mAP_50': 0.3, 'bbox_mAP_75': 0.2}
        scaled = {f'coco/{key}': scale * value for key, value in numbers.items()}
        steps = {'iter': 4 * epoch, 'epoch': epoch, 'step': 4 * epoch}
        write_log(run.work_dir, started, [steps, {**scaled, 'step': epoch}])

    return leave


@pytest.fixture
def finish(save, log_evaluation):
    """A function that does at once what a training leaves behind."""

    def leave(run):
        save(run, 2)
        log_evaluation(run, 2, scale=1 + run.seed)
        return 'print("trained")'

    return leave


@pytest.fixture
def python():
    """A function that gives the command which runs some code."""
    return lambda code: [sys.executable, '-c', code]


@pytest.fixture
def series(part, table, toy_run, tmp_path, monkeypatch, python):
    """A function that makes a series of toy runs; each command is told by its run."""
    module = part('series')
    carrying = part('carrying')

    def make(behave, rows=('scratch', 'block7'), seeds=(0,)):
        runs = [toy_run(row, seed) for seed in seeds for row in rows]

        def next_command(run, progress, launcher):
            return python(behave(run, progress.state.name))

        monkeypatch.setattr(carrying, 'next_command', next_command)
        monkeypatch.setattr(module.Series, 'prepare', lambda self: None)
        plan = part('plan').Plan(runs, runs)
        launcher = part('commands').Launcher()
        return module.Series(
            table('table3'),
            plan,
            tmp_path,
            launcher,
            'the command',
            print,
            part('report').TableReport(table('table3'), tmp_path),
        )

    return make
