"""The hook by which no two epochs augment images with the same random numbers."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from mmengine.dataset import worker_init_fn
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dropblock_mm.registry import HOOKS


@HOOKS.register_module()
class WorkerSeedsHook(Hook):
    """Seed the workers of an epoch by its number too.

    MMEngine (0.10.7, ``dataset.utils.worker_init_fn``) seeds a worker by the run's
    seed, the rank and the worker alone. Without ``persistent_workers``, which is off
    unless a config says otherwise, the workers of every epoch are new ones, and crop,
    flip and colour with the same numbers as those before; persistent workers do so
    after the run was resumed, and after a hook that changes the pipeline. With this
    hook an epoch has numbers of its own, which are the same in every run of a seed, and
    without persistent workers in a resumed run as well. ``tools/train.py`` adds it.

    Those of the first epoch are MMEngine's. A ``worker_init_fn`` of the config is left
    alone, and so are loops that count iterations: their workers stay.
    """

    def __init__(self) -> None:
        self._given: partial[Any] | None = None

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


def mixed(seed: int, epoch: int) -> int:
    """Return a seed for an epoch, of 31 bits: rank and worker are added to it."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0] >> 1)
