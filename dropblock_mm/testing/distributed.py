"""Toy runs in one process, and in several over gloo, to compare."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

from dropblock_mm import DropBlock1d, DropBlock3d, ScheduledDrop
from dropblock_mm.registry import HOOKS
from dropblock_mm.testing.processes import start
from dropblock_mm.testing.toy import ToyClassifier, toy_resnet, toy_runner

_TIMEOUT = 600  # seconds, for a run of seconds: only a hang takes longer


class Recorder(Hook):
    """Note what each layer kept in each iteration, losses and first gradients."""

    priority = 'HIGHEST'

    def __init__(self) -> None:
        self.kept: list[list[int]] = []
        self.losses: list[float] = []
        self.gradients: dict[str, torch.Tensor] = {}

    def before_train(self, runner: Runner) -> None:
        """Read the gradients when the optimizer does: MMEngine clears them then."""

        def read(*args: Any) -> None:
            if not self.gradients:
                self.gradients = _gradients(_unwrapped(runner.model))

        runner.optim_wrapper.optimizer.register_step_pre_hook(read)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Read the counts of every layer, before they are reset, and the loss."""
        layers = [m for m in runner.model.modules() if isinstance(m, ScheduledDrop)]
        self.kept.append([int(layer.kept_units) for layer in layers])
        self.losses.append(float(outputs['loss'].detach()))


def _gradients(model: nn.Module) -> dict[str, torch.Tensor]:
    return {
        n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None
    }


def _unwrapped(model: Any) -> Any:
    return model.module if hasattr(model, 'module') else model


@HOOKS.register_module()
class KillOnce(Hook):
    """Kill -9 one process of a run, in the first attempt.

    Args:
        rank: Which one.
        iteration: Before which iteration, from 0.
        trace: A file that tells later attempts.
    """

    def __init__(self, rank: int, iteration: int, trace: str) -> None:
        self.rank, self.iteration, self.trace = rank, iteration, Path(trace)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Die if it is time."""
        if (runner.rank, runner.iter) != (self.rank, self.iteration):
            return
        if not self.trace.exists():
            self.trace.touch()
            os.kill(os.getpid(), signal.SIGKILL)


def still_classifier() -> ToyClassifier:
    """A classifier whose batch norms use fixed statistics.

    Others compute them over the images of one process, so that two processes with
    two images each differ from one with four.
    """
    return ToyClassifier(toy_resnet(norm_eval=True), 64)


def channels_last_classifier() -> Any:
    """The same with the channels innermost."""
    return still_classifier().to(memory_format=torch.channels_last)


class OfManySides(nn.Module):
    """Drop stretches of the flattened maps, and cubes of channels, rows and columns."""

    def __init__(self) -> None:
        super().__init__()
        self.line = DropBlock1d(keep_prob=None, block_size=3)
        self.volume = DropBlock3d(keep_prob=None, block_size=2)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Return Tensor[N, C, H, W] of which units are dropped."""
        x = self.line(maps.flatten(2)).reshape(maps.shape)
        return self.volume(x[:, None])[:, 0]


def classifier_of_many_sides() -> ToyClassifier:
    """A classifier with layers of lines and of volumes behind its first stage."""
    model = still_classifier()
    stage = model.get_submodule('backbone.layer1')
    stage.add_module('many_sides', OfManySides())
    return model


@dataclass(frozen=True)
class RankedRun:
    """What a run consists of; everything has to be picklable.

    Attributes:
        folder: For its files.
        custom_hooks: The hooks under test.
        model: Builds the model.
        dataset: What to train on; images with a class if None.
        batch_size: Images for each process.
        diff_rank_seed: Whether each process has a seed of its own.
        accumulative_counts: Iterations of one update.
        iterations: Of each process.
    """

    folder: Path
    custom_hooks: Sequence[dict[str, Any]] = ()
    model: Callable[[], nn.Module] = still_classifier
    dataset: Dataset | None = None
    batch_size: int = 2
    diff_rank_seed: bool = True
    accumulative_counts: int = 1
    iterations: int = 4

    def train(self, world_size: int = 2) -> list[dict[str, Any]]:
        """Train, under DistributedDataParallel if there are several processes.

        Returns:
            list[dict]: For each rank 'kept' (units by iteration and layer), 'loss'
            and, with DropBlock, 'keep_prob' (by iteration), 'gradients' (of the first
            update), 'weights' (the state_dict) and 'warnings'.
        """
        self.folder.mkdir(exist_ok=True)
        processes = [
            start(_train, rank, world_size, self) for rank in range(world_size)
        ]
        for process in processes:
            process.join(_TIMEOUT)
            process.kill()
        codes = [process.exitcode for process in processes]
        if any(codes):
            raise RuntimeError(f'exit codes of the ranks: {codes}')
        files = [self.folder / f'{rank}.pt' for rank in range(world_size)]
        return [torch.load(file, weights_only=True) for file in files]

    def runner(self, rank: int, world_size: int) -> Runner:
        """Build the runner of one process."""
        torch.manual_seed(0)
        model: Any = self.model()
        model.init_weights()  # now: where the runner does, the seeds have parted
        return toy_runner(
            self.folder / f'rank_{rank}',
            self.custom_hooks,
            model=model,
            train_cfg={'by_epoch': False, 'max_iters': self.iterations},
            optim_wrapper={
                'optimizer': {'type': 'SGD', 'lr': 0.01},
                'accumulative_counts': self.accumulative_counts,
            },
            dataset=self.dataset,
            batch_size=self.batch_size,
            randomness={'seed': 0, 'diff_rank_seed': self.diff_rank_seed},
            launcher='pytorch' if world_size > 1 else 'none',
            # None is DDP's word for the CPU; MMEngine would say [rank].
            cfg={
                'model_wrapper_cfg': {
                    'type': 'MMDistributedDataParallel',
                    'device_ids': None,
                }
            }
            if world_size > 1
            else {},
        )


def _train(rank: int, world_size: int, run: RankedRun) -> None:
    torch.set_num_threads(1)
    os.environ.update(RANK=f'{rank}', LOCAL_RANK=f'{rank}', WORLD_SIZE=f'{world_size}')
    if world_size > 1:
        store = f'file://{run.folder}/store'
        # MMEngine's own set-up of distributed training wants a GPU.
        dist.init_process_group(
            'gloo', init_method=store, rank=rank, world_size=world_size
        )
    runner = run.runner(rank, world_size)
    recorder, warnings = Recorder(), []
    runner.logger.warning = lambda text, *args: warnings.append(text)
    runner.register_hook(recorder)
    runner.train()
    torch.save(_result(runner, recorder, warnings), run.folder / f'{rank}.pt')
    if world_size > 1:
        dist.destroy_process_group()


def _result(runner: Runner, recorder: Recorder, warnings: list[str]) -> dict[str, Any]:
    scalars = runner.message_hub.log_scalars
    logged = scalars.get('train/keep_prob')
    return {
        'kept': recorder.kept,
        'loss': recorder.losses,
        'gradients': recorder.gradients,
        'keep_prob': logged.data[0].tolist() if logged else [],
        'weights': _unwrapped(runner.model).state_dict(),
        'warnings': warnings,
    }


def mean_of_ranks(ranks: Sequence[dict[str, Any]], key: str = 'loss') -> torch.Tensor:
    """Average what the ranks logged, by iteration."""
    return torch.tensor([rank[key] for rank in ranks]).mean(dim=0)
