"""A toy run on several processes of the CPU, over gloo."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dropblock_mm import DropBlock2d
from dropblock_mm.testing.toy import toy_runner


class RecordKeptUnits(Hook):
    """Note what each layer kept in each iteration, before the count is reset."""

    priority = 'HIGHEST'

    def __init__(self) -> None:
        self.kept: list[list[int]] = []

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Read the counts of every layer."""
        layers = [m for m in runner.model.modules() if isinstance(m, DropBlock2d)]
        self.kept.append([int(layer.kept_units) for layer in layers])


def train_on_ranks(
    folder: Path,
    custom_hooks: Sequence[dict[str, Any]],
    *,
    diff_rank_seed: bool,
    world_size: int = 2,
) -> list[dict[str, Any]]:
    """Train the toy under DistributedDataParallel and return what each rank saw.

    Returns:
        list[dict]: For each rank 'kept' (units by iteration and layer),
        'keep_prob' (by iteration), 'weights' (the state_dict) and 'warnings'.
    """
    torch.multiprocessing.spawn(
        _train, (world_size, folder, custom_hooks, diff_rank_seed), nprocs=world_size
    )
    return [
        torch.load(folder / f'{rank}.pt', weights_only=True)
        for rank in range(world_size)
    ]


def _train(
    rank: int,
    world_size: int,
    folder: Path,
    custom_hooks: Sequence[dict[str, Any]],
    diff_rank_seed: bool,
) -> None:
    torch.set_num_threads(1)
    os.environ.update(RANK=f'{rank}', LOCAL_RANK=f'{rank}', WORLD_SIZE=f'{world_size}')
    # MMEngine's own set-up of distributed training wants a GPU.
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=world_size
    )
    runner = toy_runner(
        folder / f'rank_{rank}',
        custom_hooks,
        launcher='pytorch',
        randomness={'seed': 0, 'diff_rank_seed': diff_rank_seed},
        # None is DDP's word for the CPU; MMEngine would say [rank].
        cfg={
            'model_wrapper_cfg': {
                'type': 'MMDistributedDataParallel',
                'device_ids': None,
            }
        },
    )
    record, warnings = RecordKeptUnits(), []
    runner.logger.warning = lambda text, *args: warnings.append(text)
    runner.register_hook(record)
    runner.train()
    result = {
        'kept': record.kept,
        'keep_prob': runner.message_hub.get_scalar('train/keep_prob').data[0].tolist(),
        'weights': runner.model.module.state_dict(),
        'warnings': warnings,
    }
    torch.save(result, folder / f'{rank}.pt')
    dist.destroy_process_group()
