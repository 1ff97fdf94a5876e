"""The hook by which no two parts of a training draw the same random numbers."""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import numpy as np
import torch
from mmengine.dataset import worker_init_fn
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dropblock_mm.registry import HOOKS


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
    left alone, and so are workers of loops that count iterations: they stay.
    """

    def __init__(self) -> None:
        self._given: partial[Any] | None = None

    def before_train(self, runner: Runner) -> None:
        """Leave the random numbers that a resumed run began with."""
        if runner.iter:
            # The seed that MMEngine set; of each rank its own if the config says so.
            seed = mixed(torch.initial_seed() % 2**32, runner.iter)
            torch.manual_seed(seed)
            np.random.seed(seed)
            random.seed(seed)

    def before_train_epoch(self, runner: Runner) -> None:
        """Tell the loader the seed, before it starts its workers."""
        loader: Any = runner.train_dataloader
        if self._given is None:
            given = loader.worker_init_fn
            if not isinstance(given, partial) or given.func is not worker_init_fn:
                return
            self._given = given
        if runner.epoch:
            seed = self._given.keywords['seed']
            loader.worker_init_fn = partial(self._given, seed=mixed(seed, runner.epoch))


def mixed(seed: int, number: int) -> int:
    """Return a seed for an epoch or iteration, of 31 bits: ranks are added to it."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0] >> 1)
