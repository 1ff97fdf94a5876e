"""Hooks that serve any run, with DropBlock or without."""

from dropblock_mm.runs.hooks.activation_checkpointing_hook import (
    ActivationCheckpointingHook,
)
from dropblock_mm.runs.hooks.checkpoint_hook import CheckpointHook
from dropblock_mm.runs.hooks.same_data_hook import SameDataHook
from dropblock_mm.runs.hooks.seeds_hook import SeedsHook

__all__ = [
    'ActivationCheckpointingHook',
    'CheckpointHook',
    'SameDataHook',
    'SeedsHook',
]
