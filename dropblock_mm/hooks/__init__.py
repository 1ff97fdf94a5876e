"""Hooks that a config adds under ``custom_hooks``, and the schedules they follow."""

from dropblock_mm.hooks.injection_hook import DropBlockInjectionHook, InjectionHook
from dropblock_mm.hooks.keep_rate_hook import KeepRateHook
from dropblock_mm.hooks.schedule_hook import KeepProbScheduleHook

__all__ = [
    'DropBlockInjectionHook',
    'InjectionHook',
    'KeepProbScheduleHook',
    'KeepRateHook',
]
