"""Hooks that a config adds under ``custom_hooks``, and the schedules they follow."""

from dropblock_mm.hooks.injection_hook import DropBlockInjectionHook, InjectionHook
from dropblock_mm.hooks.rate_hooks import KeepProbScheduleHook, KeepRateHook

__all__ = [
    'DropBlockInjectionHook',
    'InjectionHook',
    'KeepProbScheduleHook',
    'KeepRateHook',
]
