"""keep_prob, gamma and the exact keep rate of each stage, over a training."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.config import Config
from mmengine.registry import HOOKS

from dropblock_mm import KeepProbScheduleHook
from dropblock_mm.analysis.cost.workload import CostError, workload
from dropblock_mm.analysis.sites.site_kinds import SiteKind
from dropblock_mm.hooks.fragments import uses_drop_block

POINTS = 101
UNKNOWN_LENGTH = 1000  # iterations to draw, where the data are not there to count


@dataclass(frozen=True)
class Length:
    """How long a training is.

    Args:
        iterations: In all.
        per_epoch: Of an epoch.
        known: Whether the iterations were counted; else they are a share of it.
    """

    iterations: int
    per_epoch: int
    known: bool = True


@dataclass(frozen=True)
class StageCurve:
    """What the sites of a kind do over a training, at the iterations of the curves.

    Args:
        kind: The sites.
        keep_prob: As scheduled.
        gamma: Of DropBlock's equation 1; None for other layers.
        expected: Exact expected share of units kept.
    """

    kind: SiteKind
    keep_prob: list[float]
    gamma: list[float] | None
    expected: list[float]


@dataclass(frozen=True)
class ScheduleCurves:
    """All stages of a config.

    Args:
        length: Of the training.
        iterations: At which the curves have their values, from 0.
        stages: A curve for each kind of site.
    """

    length: Length
    iterations: list[int]
    stages: list[StageCurve]


def schedule_of(cfg: Config, keep_prob: float = 0.9) -> KeepProbScheduleHook:
    """Return the schedule that a config sets.

    Args:
        cfg (Config): With its fragment. If it injects layers and has no schedule, their
            rates are constant; if it knows nothing of DropBlock, the schedule is the
            paper's.
        keep_prob (float): Where the config has no schedule.
    """
    for hook in cfg.get('custom_hooks') or []:
        if 'KeepProbScheduleHook' in str(hook.get('type')):
            return HOOKS.build(copy.deepcopy(hook))
    how = 'constant' if uses_drop_block(cfg) else 'linear'
    return KeepProbScheduleHook(keep_prob=keep_prob, schedule=how)


def keep_probs_over(
    schedule: KeepProbScheduleHook, number: int, own: float | None = None
) -> list[float]:
    """Return evenly spaced values of a schedule, from the first iteration to the last.

    Args:
        schedule: With begin and end in any unit; epochs are taken as shares of 100.
        number: How many.
        own: The layer's own value to end at, if it has one.
    """
    schedule.begin_training(10_000, 100)
    last = 9_999 / (number - 1)
    return [schedule.keep_prob_at(round(i * last), own) for i in range(number)]


def training_length(cfg: Config, name: str, num_images: int | None = None) -> Length:
    """Count the iterations of a training, or say that they are not known.

    Args:
        cfg (Config): The whole config.
        name (str): Its name, for the number of GPUs in it.
        num_images (int, optional): Of an epoch; counted if None.
    """
    loop = cfg.get('train_cfg') or {}
    epochs = int(loop.get('max_epochs') or 1)
    try:
        found = workload(cfg, name, num_images).iterations
    except CostError:
        return Length(UNKNOWN_LENGTH, max(UNKNOWN_LENGTH // epochs, 1), known=False)
    return Length(found, max(found // epochs, 1))


def schedule_curves(
    kinds: Sequence[SiteKind], schedule: KeepProbScheduleHook, length: Length
) -> ScheduleCurves:
    """Compute what each kind of site does over a training.

    Raises:
        RefusedValueError: The schedule lies beyond the training.
    """
    schedule.begin_training(length.iterations, length.per_epoch)
    last, points = length.iterations - 1, min(POINTS, length.iterations)
    iterations = [round(i * last / max(points - 1, 1)) for i in range(points)]
    return ScheduleCurves(
        length, iterations, [_stage(kind, schedule, iterations) for kind in kinds]
    )


def _stage(
    kind: SiteKind, schedule: KeepProbScheduleHook, iterations: Sequence[int]
) -> StageCurve:
    layer = kind.layer()
    own = None if kind.row.keep_prob == schedule.keep_prob else kind.row.keep_prob
    rates = [schedule.keep_prob_at(i, own) for i in iterations]
    facts = [layer.facts(rate, kind.size) for rate in rates]
    gamma = [f['gamma'] for f in facts] if all('gamma' in f for f in facts) else None
    expected = [layer.expected_keep_rate(rate, kind.size) for rate in rates]
    return StageCurve(kind, rates, gamma, expected)
