"""What runs around training: hooks, schedules, checks before the start."""

from dropblock_mm.engine.hooks import DropBlockInjectionHook, KeepProbScheduleHook

__all__ = ['DropBlockInjectionHook', 'KeepProbScheduleHook']
