"""Seeds of a data loader's workers that differ between parts of a training."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from mmengine.dataset import worker_init_fn


def reseeded(begins: Any, number: int) -> Any:
    """Return what seeds workers, by another seed.

    Args:
        begins: The ``worker_init_fn`` of a loader. One that is not MMEngine's is
            returned as it is.
        number: Of the epoch or iteration; 0 leaves MMEngine's seed.
    """
    theirs = isinstance(begins, partial) and begins.func is worker_init_fn
    if not theirs or not number:
        return begins
    return partial(begins, seed=mixed(begins.keywords['seed'], number))


def mixed(seed: int, number: int) -> int:
    """Return a seed for an epoch or iteration, of 31 bits: ranks are added to it."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1)[0] >> 1)
