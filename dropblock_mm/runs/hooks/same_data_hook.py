"""The hook by which runs of one seed see the same images, whatever models draw."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner, set_random_seed
from torch import Tensor

from dropblock_mm.registry import HOOKS

SEEN = 'images_seen'  # in the message hub, and so in checkpoints
_STRIDE = 997  # of what is summed up of a batch; a prime, so that no column repeats
_MODEL = 1  # beside the other words of a seed: what it is for


@HOOKS.register_module()
class SameDataHook(Hook):
    """Draw what happens to images apart from what the model draws, and sum it up.

    Dropout of any kind draws from the generators that a pipeline in the same process
    draws from, so that a model with it is shown other crops than one without. Between
    iterations, where images are loaded, this hook sets the CPU's generators of torch,
    NumPy and Python by the seed, the rank and the number of the iteration; before the
    model computes it seeds all generators for the model, by the same. So a run that was
    resumed drops what one drops that nothing interrupted. Workers have generators of
    their own, which MMEngine seeds.

    It also keeps two checksums, of the names of the images in their order and of their
    pixels (one in 997), in the message hub under ``images_seen``. Runs with the same
    sums saw the same images. Pixels may differ once a run with workers that persist is
    resumed: the workers begin anew.
    """

    # Last before an iteration and last after it: other hooks draw with the model.
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._seed = 0

    def before_train(self, runner: Runner) -> None:
        """Take up the sums of a resumed run."""
        self._seed = int(runner.seed or 0)
        hub = runner.message_hub
        begun = hub.get_info(SEEN) if SEEN in hub.runtime_info else None
        resumed = bool(begun) or runner.iter > 0
        self.seen = {'images': 0, 'pixels': 0, 'iterations': 0, **(begun or {})}
        self.seen['resumed'] = resumed
        hub.update_info(SEEN, self.seen)

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the random numbers of the first images."""
        self._seed_images(runner.iter)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Sum up the batch, and set the model's random numbers."""
        self.seen['iterations'] += 1
        for name in image_names(data_batch):
            self.seen['images'] = zlib.crc32(name.encode(), self.seen['images'])
        for tensor in _tensors(data_batch):
            sample = tensor.detach().flatten()[::_STRIDE].cpu().contiguous()
            content = sample.view(torch.uint8).numpy().tobytes()
            self.seen['pixels'] = zlib.crc32(content, self.seen['pixels'])
        # MMEngine's seed holds the rank where ranks are to drop apart.
        set_random_seed(_seed_of(self._seed, 0, runner.iter, _MODEL))

    def after_train_iter(self, runner: Runner, *args: Any, **kwargs: Any) -> None:
        """Set the random numbers of the next images."""
        self._seed_images(runner.iter + 1)

    def after_val_epoch(self, runner: Runner, metrics: Any = None) -> None:
        """Set the random numbers of the next images anew: validation may draw."""
        self._seed_images(runner.iter)

    def _seed_images(self, iteration: int) -> None:
        seed = _seed_of(self._seed, get_rank(), iteration)
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed)
        random.seed(seed)


def _seed_of(*words: int) -> int:
    return int(np.random.SeedSequence(words).generate_state(1)[0])


def image_names(batch: Any) -> Iterator[str]:
    """Find the files of the images of a batch, in order."""
    samples = batch.get('data_samples') if isinstance(batch, Mapping) else None
    for sample in samples if isinstance(samples, (list, tuple)) else ():
        path = getattr(sample, 'img_path', None)
        if path is not None:
            yield str(path)


def _tensors(batch: Any) -> Iterator[Tensor]:
    """Find the images of a batch: its inputs, or all tensors where it names none."""
    if isinstance(batch, Tensor):
        yield batch
    elif isinstance(batch, Mapping):
        parts = [batch['inputs']] if 'inputs' in batch else batch.values()
        for part in parts:
            yield from _tensors(part)
    elif isinstance(batch, (list, tuple)):
        for part in batch:
            yield from _tensors(part)
