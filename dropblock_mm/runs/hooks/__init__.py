"""Hooks that serve any run, with DropBlock or without."""

from dropblock_mm.runs.hooks.activation_checkpointing_hook import (
    ActivationCheckpointingHook,
)
from dropblock_mm.runs.hooks.checkpoint_hook import CheckpointHook

__all__ = ['ActivationCheckpointingHook', 'CheckpointHook']
