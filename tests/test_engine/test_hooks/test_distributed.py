"""Two processes on the CPU: what ranks share and what they must not share."""

import os

import pytest
import torch
import torch.distributed as dist
from mmengine.hooks import Hook

from dropblock_mm import DropBlock2d
from dropblock_mm.testing.toy import toy_runner

WORLD_SIZE = 2


class RecordMasks(Hook):
    """Note how many units each layer kept, before the count is reset."""

    priority = 'HIGHEST'

    def __init__(self):
        self.kept = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        layers = [m for m in runner.model.modules() if isinstance(m, DropBlock2d)]
        self.kept.append([layer.kept_units.item() for layer in layers])


def train(rank, folder, diff_rank_seed):
    """Train the toy on one rank and write down what it saw."""
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(WORLD_SIZE))
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=WORLD_SIZE
    )
    record = RecordMasks()
    runner = toy_runner(
        folder / f'rank_{rank}',
        [
            dict(
                type='dropblock_mm.DropBlockInjectionHook',
                targets=[dict(module='backbone.layer4')],
                block_size=1,
            ),
            dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.5),
        ],
        launcher='pytorch',
        randomness=dict(seed=0, diff_rank_seed=diff_rank_seed),
        cfg=dict(model_wrapper_cfg=dict(type='MMDistributedDataParallel')),
    )
    warnings = []
    runner.logger.warning = lambda text, *args: warnings.append(text)
    runner.register_hook(record)
    runner.train()
    result = {
        'kept': record.kept,
        'weights': runner.model.module.state_dict(),
        'warned': any('the same masks' in text for text in warnings),
        'keep_prob': runner.message_hub.get_scalar('train/keep_prob').data[0].tolist(),
    }
    torch.save(result, folder / f'{rank}.pt')
    dist.destroy_process_group()


def run(folder, diff_rank_seed):
    torch.multiprocessing.spawn(train, (folder, diff_rank_seed), nprocs=WORLD_SIZE)
    return [
        torch.load(folder / f'{rank}.pt', weights_only=True)
        for rank in range(WORLD_SIZE)
    ]


@pytest.mark.skipif(not dist.is_gloo_available(), reason='torch was built without gloo')
def test_masks_differ_and_weights_agree(tmp_path):
    first, second = run(tmp_path, diff_rank_seed=True)
    assert first['kept'][1:] != second['kept'][1:]
    assert first['keep_prob'] == second['keep_prob']
    assert not first['warned']
    for name, ours in first['weights'].items():
        # Running statistics are each rank's own, as in any DDP training.
        if 'running' not in name:
            assert torch.equal(ours, second['weights'][name]), name


@pytest.mark.skipif(not dist.is_gloo_available(), reason='torch was built without gloo')
def test_repeated_masks_are_warned_of(tmp_path):
    first, second = run(tmp_path, diff_rank_seed=False)
    assert first['kept'] == second['kept']
    assert first['warned']
