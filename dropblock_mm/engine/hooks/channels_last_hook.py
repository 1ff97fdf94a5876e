"""The hook that turns a model to channels-last memory order."""

from __future__ import annotations

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from dropblock_mm.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Store weights, and with them feature maps, with the channels innermost.

    Numbers and checkpoints are those of the usual order; convolutions may be faster,
    most of all in mixed precision (torch's tutorial "Channels Last Memory Format in
    PyTorch").
    """

    # Before EMAHook copies the model.
    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Turn the model's four-dimensional weights."""
        runner.model.to(memory_format=torch.channels_last)
