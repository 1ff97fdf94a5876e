"""MMEngine's other runner, which wraps the model by a strategy before hooks run."""

import json
from pathlib import Path

import pytest
import torch
from mmengine.runner._flexible_runner import FlexibleRunner

from dropblock_mm.layers import ScheduledDrop
from dropblock_mm.runs.checkpoints.safe_loading import mmengine_globals
from dropblock_mm.testing.toy import ToyImages, toy_classifier

HOOKS = [
    dict(
        type='dropblock_mm.InjectionHook',
        targets=[
            dict(module='backbone.layer2', block_size=3),
            dict(module='backbone.layer4', layer='DropPath'),
        ],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.5),
    dict(type='dropblock_mm.ActivationCheckpointingHook', modules='backbone.layer2'),
]


def logged(runner):
    text = Path(runner.log_dir, 'vis_data', 'scalars.json').read_text()
    return [json.loads(line) for line in text.splitlines()]


def train(folder, epochs, resume=False):
    torch.manual_seed(0)  # for the weights
    runner = FlexibleRunner(
        model=toy_classifier(),
        work_dir=str(folder),
        train_dataloader=dict(
            dataset=ToyImages(),
            batch_size=2,
            sampler=dict(type='DefaultSampler', shuffle=True),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01)),
        custom_hooks=HOOKS,
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=1),
            checkpoint=dict(type='dropblock_mm.CheckpointHook', max_keep_ckpts=1),
        ),
        resume=resume,
        randomness=dict(seed=0),
    )
    runner.train()
    return runner


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """A run of two epochs, and what is resumed from it for a third one."""
    folder = tmp_path_factory.mktemp('flexible')
    torch.serialization.add_safe_globals(mmengine_globals())
    first = train(folder, 2)
    files = [path.name for path in folder.glob('*.pth')]
    rows = logged(first)  # a run of the same second logs into the same file
    return first, rows, files, train(folder, 3, resume=True)


def test_layers_drop_and_follow_the_schedule(runs):
    first, rows, _, _ = runs
    layers = [m for m in first.model.modules() if isinstance(m, ScheduledDrop)]
    assert {type(layer).__name__ for layer in layers} == {'DropBlock2d', 'DropPath'}
    expected = [1 - 0.5 * step / 7 for step in range(8)]
    assert [row['keep_prob'] for row in rows] == pytest.approx(expected)
    assert rows[0]['effective_keep_rate'] == 1
    assert rows[-1]['effective_keep_rate'] == pytest.approx(0.6, abs=0.15)


def test_one_whole_checkpoint_of_the_plain_model_is_kept(runs):
    first, _, files, _ = runs
    assert files == ['epoch_2.pth']
    assert list(first.model.state_dict()) == list(toy_classifier().state_dict())


def test_a_resumed_run_goes_on_where_it_was(runs):
    *_, second = runs
    rows = logged(second)
    assert [row['keep_prob'] for row in rows][-4:] == pytest.approx(
        [1 - 0.5 * step / 11 for step in range(8, 12)]
    )
    assert second.iter == 12
