"""Schedules as plain functions of progress in [0, 1], and when progress happens."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dropblock_mm.errors import (
    RefusedStateError,
    RefusedTypeError,
    RefusedValueError,
)
from dropblock_mm.ops.arguments import check_count, check_keep_prob, is_number

UNITS = ('iter', 'epoch', 'fraction')


def linear(progress: float, num_steps: int) -> float:
    """Go evenly from 0 to 1 (the paper, section 3, Scheduled DropBlock)."""
    return progress


def cosine(progress: float, num_steps: int) -> float:
    """Go from 0 to 1 along half a cosine: slow, fast, slow."""
    return (1.0 - math.cos(math.pi * progress)) / 2.0


def constant(progress: float, num_steps: int) -> float:
    """Be 1 from the start (the paper's ablation without scheduling)."""
    return 1.0


def step(progress: float, num_steps: int) -> float:
    """Climb from 0 to 1 in equal steps, on num_steps + 1 equally long plateaus."""
    return min(math.floor(progress * (num_steps + 1)), num_steps) / num_steps


SCHEDULES: dict[str, Callable[[float, int], float]] = {
    'linear': linear,
    'cosine': cosine,
    'constant': constant,
    'step': step,
}


@dataclass(frozen=True)
class Interval:
    """The iterations over which a schedule moves.

    Args:
        begin: First iteration (from 0) of progress; before it progress is None.
        end: Iteration at which progress reaches 1.
    """

    begin: int
    end: int

    def progress(self, iteration: int) -> float | None:
        """Return the progress at an iteration: None, or a number in [0, 1]."""
        if iteration < self.begin:
            return None
        if iteration >= self.end:
            return 1.0
        return (iteration - self.begin) / (self.end - self.begin)


def keep_prob_at(
    iteration: int,
    interval: Interval,
    *,
    start: float,
    end: float,
    schedule: str = 'linear',
    num_steps: int = 4,
) -> float:
    """Return keep_prob at an iteration, a pure function of its arguments.

    Args:
        iteration: Number of the iteration, from 0.
        interval: Where the schedule moves.
        start: keep_prob before and at the beginning of the interval.
        end: keep_prob at the end of the interval and after it.
        schedule: A key of :data:`SCHEDULES`.
        num_steps: Number of steps of the schedule 'step'.
    """
    progress = interval.progress(iteration)
    if progress is None:
        return start
    share = SCHEDULES[schedule](progress, num_steps)
    # Exactly `end` at the end, which start + 1.0 * (end - start) may miss.
    return end if share == 1.0 else start + share * (end - start)


class KeepProbCurve:
    """What a schedule is told, checked, and the rate that it gives an iteration.

    The hook and the class for loops of one's own derive from it, and say when training
    is known how long it takes.

    Args:
        keep_prob: Value to arrive at, in [0, 1].
        schedule: A key of :data:`SCHEDULES`.
        start_keep_prob: Value to start from, in [0, 1].
        begin: When to begin, in ``unit``.
        end: When to arrive, in ``unit``; None is the last iteration.
        unit: One of :data:`UNITS`.
        num_steps: Number of steps of the schedule 'step'.

    Raises:
        TypeError: If an argument has a wrong type.
        ValueError: If a value is outside its range.
    """

    def __init__(
        self,
        keep_prob: float,
        schedule: str,
        start_keep_prob: float,
        begin: float,
        end: float | None,
        unit: str,
        num_steps: int,
    ) -> None:
        self.keep_prob = check_keep_prob(keep_prob)
        self.start_keep_prob = check_keep_prob(start_keep_prob, 'start_keep_prob')
        self.schedule = check_schedule(schedule)
        check_interval(begin, end, unit)
        self.begin, self.end, self.unit = begin, end, unit
        self.num_steps = check_count(
            num_steps, 'num_steps', "Give the number of steps of schedule='step'."
        )
        self.interval: Interval | None = None  # not known before training

    def begin_training(self, max_iters: int, iters_per_epoch: int = 1) -> None:
        """Place the schedule in the iterations of a training run.

        Raises:
            ValueError: If begin or end lies beyond training.
        """
        self.interval = resolve_interval(
            self.begin, self.end, self.unit, max_iters, iters_per_epoch
        )

    def keep_prob_at(self, iteration: int, own: float | None = None) -> float:
        """Return keep_prob at an iteration, from 0.

        Args:
            iteration: Number of the iteration.
            own: The layer's own value to end at, if it has one.

        Raises:
            RefusedStateError: How long training is has not been said yet.
        """
        if self.interval is None:
            raise RefusedStateError(
                f'{type(self).__name__}.keep_prob_at({iteration}): begin and end are '
                'placed in the iterations of a training, and none has begun. Call '
                'begin_training(max_iters=...) first, with its length.'
            )
        return keep_prob_at(
            iteration,
            self.interval,
            start=self.start_keep_prob,
            end=self.keep_prob if own is None else own,
            schedule=self.schedule,
            num_steps=self.num_steps,
        )


def resolve_interval(
    begin: float, end: float | None, unit: str, max_iters: int, iters_per_epoch: int
) -> Interval:
    """Convert begin and end from their unit to iterations of a training run.

    The last iteration of training is ``max_iters - 1``: that is where an ``end``
    at the end of training lies, so that the last step trains with the target.

    Args:
        begin: When to begin, in ``unit``.
        end: When to arrive, in ``unit``; None is the end of training.
        unit: One of :data:`UNITS`.
        max_iters: Iterations of the whole training run.
        iters_per_epoch: Iterations of an epoch.

    Raises:
        ValueError: If begin or end lies beyond training.
    """
    scale = {'iter': 1, 'epoch': iters_per_epoch, 'fraction': max_iters}[unit]
    training = f'training, which has {max_iters:,} iterations'
    if unit == 'epoch':
        training += f' ({max_iters / iters_per_epoch:g} epochs)'
    for name, value in (('begin', begin), ('end', end)):
        if value is not None and value * scale > max_iters:
            raise RefusedValueError(
                f'{name}={value!r} (unit={unit!r}) lies beyond {training}. Give a '
                f'smaller value, or leave it out.'
            )
    last = max_iters - 1
    end_iter = last if end is None else min(round(end * scale), last)
    return Interval(min(round(begin * scale), last), end_iter)


def check_schedule(name: Any) -> str:
    """Return the name of a schedule.

    Raises:
        ValueError: If there is none of that name.
    """
    if not isinstance(name, str) or name not in SCHEDULES:
        raise RefusedValueError(
            f'schedule={name!r} is not one of {", ".join(map(repr, SCHEDULES))}.'
        )
    return str(name)


def check_interval(begin: Any, end: Any, unit: Any) -> None:
    """Check what can be checked before the length of training is known.

    Raises:
        TypeError: If begin or end is not a number.
        ValueError: If the unit is unknown, a value is negative or not finite, a
            fraction exceeds 1, or the end is not after the beginning.
    """
    if not isinstance(unit, str) or unit not in UNITS:
        raise RefusedValueError(
            f'unit={unit!r} is not one of {", ".join(map(repr, UNITS))}.'
        )
    for name, value in (('begin', begin), ('end', end)):
        if name == 'end' and value is None:
            continue
        if not is_number(value):
            raise RefusedTypeError(
                f'{name}={value!r} is not a number of unit={unit!r}.'
            )
        if not (math.isfinite(value) and value >= 0):
            raise RefusedValueError(
                f'{name}={value!r} is negative or not finite. Count from the start '
                f'of training in unit={unit!r}.'
            )
        if unit == 'fraction' and value > 1:
            raise RefusedValueError(
                f"{name}={value!r} is beyond training: with unit='fraction' it "
                "goes from 0 to 1. For iterations or epochs give unit='iter' or "
                "unit='epoch'."
            )
    if end is not None and end <= begin:
        raise RefusedValueError(
            f'end={end!r} is not after begin={begin!r} (unit={unit!r}). Give a later '
            'end, or leave it out for the end of training.'
        )
