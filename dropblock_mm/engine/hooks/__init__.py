"""Hooks that a config adds under ``custom_hooks``."""

from dropblock_mm.engine.hooks.activation_checkpointing_hook import (
    ActivationCheckpointingHook,
)
from dropblock_mm.engine.hooks.checkpoint_hook import CheckpointHook
from dropblock_mm.engine.hooks.drop_block_injection_hook import DropBlockInjectionHook
from dropblock_mm.engine.hooks.keep_prob_schedule_hook import KeepProbScheduleHook

__all__ = [
    'ActivationCheckpointingHook',
    'CheckpointHook',
    'DropBlockInjectionHook',
    'KeepProbScheduleHook',
]
