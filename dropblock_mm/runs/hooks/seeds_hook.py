"""The hook by which no two parts of a training draw the same random numbers."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner, set_random_seed

from dropblock_mm.registry import HOOKS
from dropblock_mm.runs.worker_seeds import mixed, reseeded


@HOOKS.register_module()
class SeedsHook(Hook):
    """Seed workers by the epoch too, and a resumed run by where it goes on.

    MMEngine (0.10.7, ``dataset.utils.worker_init_fn``) seeds a worker by the run's
    seed, the rank and the worker alone. Without ``persistent_workers``, which is off
    unless a config says otherwise, the workers of every epoch are new ones, and crop,
    flip and colour with the same numbers as those before; persistent workers do so
    after the run was resumed, and after a hook that changes the pipeline. And it seeds
    every process as it starts (``Runner.set_randomness``): after each resume a model
    drops again what it dropped at the beginning.

    With this hook an epoch has numbers of its own, which are the same in every run of a
    seed, and without persistent workers in a resumed run as well; a resumed run draws
    by the iteration that it goes on with. ``tools/train.py`` adds it.

    The numbers of a first epoch are MMEngine's. A ``worker_init_fn`` of the config is
    left alone. Workers of a loop that counts iterations stay; those of a resumed one
    :class:`dropblock_mm.IterBasedTrainLoop` seeds.
    """

    def __init__(self) -> None:
        self._given: Any = None

    def before_train(self, runner: Runner) -> None:
        """Leave the random numbers that a resumed run began with."""
        if runner.iter:
            # The seed that MMEngine set; of each rank its own if the config says so.
            set_random_seed(mixed(torch.initial_seed() % 2**32, runner.iter))

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the loader the seed, before it starts its workers."""
        loader: Any = runner.train_dataloader
        self._given = self._given or loader.worker_init_fn
        loader.worker_init_fn = reseeded(self._given, runner.epoch)
