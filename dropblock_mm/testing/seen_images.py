"""Toy runs whose log says which images every iteration has seen."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from dropblock_mm.registry import DATASETS, HOOKS, MODELS
from dropblock_mm.testing.toy import TOY_CONFIG, ToyClassifier, ToyImages, toy_resnet

IMAGES = 8
ITERATIONS = 12
BEGAN = 'began_{}'  # a file for each iteration, from 0

# 3 epochs of 4 iterations, each of 2 images; keep_prob changes at every one of them.
SEEN_CONFIG = f"""{TOY_CONFIG.replace('testing.toy', 'testing.seen_images')}
model = dict(type='dropblock_mm.SeenClassifier')
train_dataloader['dataset'] = dict(type='dropblock_mm.NumberedImages', length={IMAGES})
custom_hooks = [dict(type='dropblock_mm.IterationsHook')]
"""
SEEN_BY_ITERATION = f"""{SEEN_CONFIG}
train_cfg = dict(type='IterBasedTrainLoop', max_iters={ITERATIONS})
train_dataloader['sampler'] = dict(type='InfiniteSampler')
default_hooks['checkpoint'].update(interval=2, by_epoch=False)
"""


@DATASETS.register_module()
class NumberedImages(ToyImages):
    """Random images that come with their index."""

    def __getitem__(self, index: int) -> dict[str, Any]:
        return super().__getitem__(index) | {'data_samples': index}


@MODELS.register_module()
class SeenClassifier(ToyClassifier):
    """A toy classifier that logs the numbers of a batch's images, as one number."""

    def __init__(self) -> None:
        super().__init__(toy_resnet(), 64)

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Return the loss and what was seen, or the logits in the other modes."""
        if mode != 'loss':
            return super().forward(inputs, mode=mode)
        seen = sum(int(n) * IMAGES**place for place, n in enumerate(data_samples))
        loss = super().forward(inputs, data_samples % 2, mode)
        return loss | {'seen': inputs.new_tensor(float(seen))}


@HOOKS.register_module()
class IterationsHook(Hook):
    """Writes a file when an iteration begins, with the seconds of the one before."""

    priority = 'LOWEST'

    def before_train(self, runner: Runner) -> None:
        """Note the time."""
        self.began = time.monotonic()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Write the file, whole when it is there."""
        last, self.began = self.began, time.monotonic()
        path = Path(runner.work_dir, BEGAN.format(runner.iter))
        path.with_suffix('.new').write_text(str(self.began - last), encoding='utf-8')
        path.with_suffix('.new').rename(path)
