"""A whole run of the small AmoebaNet on photographs: stopped, resumed, tested."""

import json
import shutil

import pytest
import torch

from dropblock_mm.commands import test as testing
from dropblock_mm.commands import train as training
from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe

pytest.importorskip('mmpretrain')
CONFIG = 'configs/amoebanet/amoebanet-b-3-32_dropblock-keep90-block3_clothing-96px.py'
# Eight photographs, two batches, spread over the classes.
FEW = str([*range(0, 320, 40)]).replace(' ', '')


def options(folder):
    loaders = [f'{loop}_dataloader' for loop in ('train', 'val', 'test')]
    return [
        '--cfg-options',
        'model.backbone.num_cells=1',
        'model.backbone.base_channels=8',
        'model.head.in_channels=128',
        'model.head.auxiliary.in_channels=64',
        'train_cfg.max_epochs=2',
        'default_hooks.checkpoint.max_keep_ckpts=2',
        'default_hooks.logger.interval=1',
        'randomness.seed=0',
        'train_dataloader.batch_size=4',
        *(f'{loader}.dataset.data_root={folder / "clothing"}' for loader in loaders),
        *(f'{loader}.dataset.indices={FEW}' for loader in loaders),
        *(f'{loader}.num_workers=0' for loader in loaders),
        *(f'{loader}.persistent_workers=False' for loader in loaders),
    ]


@pytest.fixture(scope='module')
def run(repo_root, shared_data, tmp_path_factory):
    """The folder of an uninterrupted run, and the options that it had."""
    folder = tmp_path_factory.mktemp('whole')
    words = options(shared_data)
    training.main([str(repo_root / CONFIG), '--work-dir', str(folder), *words])
    return folder, words


def rows_of(folder):
    """What was logged, in its order."""
    (path,) = sorted(folder.glob('*/vis_data/scalars.json'))[-1:]
    return [json.loads(line) for line in path.read_text().splitlines()]


def logged(folder):
    """The last number of each name that was logged."""
    return {name: value for row in rows_of(folder) for name, value in row.items()}


def test_it_drops_trains_and_evaluates(run):
    folder, _ = run
    found = logged(folder)
    assert found['keep_prob'] == pytest.approx(0.9)
    assert 0 < found['effective_keep_rate'] < 1
    assert {'loss', 'loss_aux', 'accuracy/top1', 'accuracy/top5'} <= {*found}
    assert [*folder.glob('best_accuracy_top1_epoch_*.pth')]


def test_a_resumed_run_goes_on_with_its_rates_and_averages(run, repo_root, tmp_path):
    """Masks are drawn anew: MMEngine saves no state of random numbers."""
    folder, words = run
    shutil.copy(folder / 'epoch_1.pth', tmp_path)
    resumed = ['--resume', str(tmp_path / 'epoch_1.pth'), *words]
    training.main([str(repo_root / CONFIG), '--work-dir', str(tmp_path), *resumed])
    rates = [
        [(row['iter'], row['keep_prob'], row['lr']) for row in rows if 'lr' in row]
        for rows in (rows_of(folder), rows_of(tmp_path))
    ]
    assert len(rates[0]) == 4
    assert rates[1] == rates[0][2:]
    # The fork's resuming takes from torch's list what it had allowed for itself.
    keep_loading_safe()
    before, after, whole = (
        torch.load(path)
        for path in (
            folder / 'epoch_1.pth',
            tmp_path / 'epoch_2.pth',
            folder / 'epoch_2.pth',
        )
    )
    assert after['ema_state_dict']['steps'] == whole['ema_state_dict']['steps'] == 4
    # A mean square that began anew would be near 1, after two steps of four.
    squares = [
        sum(state['square'].sum() for state in end['optimizer']['state'].values())
        for end in (before, after, whole)
    ]
    assert squares[1] < squares[0]
    assert squares[1] == pytest.approx(squares[2].item(), rel=0.02)


def test_its_checkpoint_is_tested_by_its_moving_averages(run, repo_root, tmp_path):
    folder, words = run
    last = str(folder / 'epoch_2.pth')
    testing.main([str(repo_root / CONFIG), last, '--work-dir', str(tmp_path), *words])
    (path,) = tmp_path.glob('*/*.json')
    assert 0 <= json.loads(path.read_text())['accuracy/top1'] <= 100
