"""The arms of a comparison, gathered from its runs."""

from __future__ import annotations

import difflib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dropblock_mm.analysis.comparison.differences import Difference, difference
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.reproduction.report import Result
from dropblock_mm.reproduction.state import State
from dropblock_mm.runs.libraries import main_metric

PLAIN = 'none'  # the arm that the others are compared with


@dataclass(frozen=True)
class Outcome:
    """What a trained run gave.

    Args:
        value: The metric on the validation set.
        on_training: The same on training images, or None.
        seen: Checksums of the images; see ``SameDataHook``.
        seconds: Median time of an iteration, or None.
    """

    value: float
    on_training: float | None
    seen: Mapping[str, Any]
    seconds: float | None

    @property
    def gap(self) -> float | None:
        """Training minus validation."""
        return None if self.on_training is None else self.on_training - self.value


@dataclass(frozen=True)
class Arm:
    """A row of a comparison.

    Args:
        name: As it is typed.
        outcomes: By seed.
        difference: To the plain arm, of the seeds that both have; None for that arm.
        left_out: Seeds that cannot be compared, and why.
        notes: Seeds that can be, and what is to be known of them.
    """

    name: str
    outcomes: dict[int, Outcome]
    difference: Difference | None = None
    left_out: dict[int, str] = field(default_factory=dict)
    notes: dict[int, str] = field(default_factory=dict)

    def mean(self) -> float | None:
        """Mean of the metric."""
        return _mean(outcome.value for outcome in self.outcomes.values())

    def spread(self) -> float | None:
        """Sample standard deviation of the metric."""
        values = [outcome.value for outcome in self.outcomes.values()]
        return statistics.stdev(values) if len(values) > 1 else None

    def gap(self) -> float | None:
        """Mean gap between training and validation."""
        return _mean(outcome.gap for outcome in self.outcomes.values())

    def seconds(self) -> float | None:
        """Mean over the seeds of the time of an iteration."""
        return _mean(outcome.seconds for outcome in self.outcomes.values())


@dataclass(frozen=True)
class Comparison:
    """What came of all arms.

    Args:
        metric: The name of the metric, as the evaluation logs it; '' before the first.
        arms: The plain one first.
    """

    metric: str
    arms: list[Arm]

    @property
    def others(self) -> list[Arm]:
        """All but the plain arm."""
        return self.arms[1:]


def choose_metric(keys: Iterable[str], asked: str | None) -> str:
    """Choose one of what an evaluation gave.

    Raises:
        RefusedValueError: It did not give what was asked for.
    """
    found = list(keys)
    if asked is None:
        return main_metric(found)
    if asked not in found:
        near = difflib.get_close_matches(asked, found, n=3, cutoff=0.4)
        meant = f' Did you mean {" or ".join(map(repr, near))}?' if near else ''
        raise RefusedValueError(
            f'--metric {asked!r}: the evaluation gave no such number.{meant} It gave '
            f'{", ".join(map(repr, found))}. Nothing is lost: the same command with '
            'one of these goes on.'
        )
    return asked


def compare(results: Sequence[Result], asked: str | None = None) -> Comparison:
    """Gather what the runs gave, and compare it with the plain arm seed by seed.

    Args:
        results: Of all runs, those of the plain arm among them.
        asked: Name of the metric; chosen if None.
    """
    names = list(dict.fromkeys(result.run.row.name for result in results))
    evaluated = [r for r in results if r.progress.metrics and not r.progress.problem]
    if not evaluated:
        return Comparison('', [Arm(name, {}) for name in names])
    metric = choose_metric(evaluated[0].progress.metrics, asked)
    outcomes: dict[str, dict[int, Outcome]] = {name: {} for name in names}
    for result in evaluated:
        if metric in result.progress.metrics:
            found = outcome_of(result, metric)
            outcomes[result.run.row.name][result.run.seed] = found
    return compare_outcomes(metric, outcomes)


def compare_outcomes(
    metric: str, outcomes: Mapping[str, dict[int, Outcome]]
) -> Comparison:
    """Compare what arms gave with what the first of them gave, seed by seed.

    Args:
        metric: The name of the metric.
        outcomes: By arm and seed.
    """
    (name, plain), *rest = outcomes.items()
    others = [_arm(other, own, plain) for other, own in rest]
    return Comparison(metric, [Arm(name, plain), *others])


def outcome_of(result: Result, metric: str) -> Outcome:
    """Return what a run gave in one metric."""
    progress = result.progress
    return Outcome(
        progress.metrics[metric],
        progress.on_training.get(metric),
        progress.seen,
        progress.seconds,
    )


def unfinished(results: Sequence[Result]) -> list[Result]:
    """Return the runs of which something is left to do."""
    return [r for r in results if r.progress.state is not State.FINISHED]


def diverged(results: Sequence[Result]) -> list[Result]:
    """Return the finished runs whose numbers are worth nothing."""
    return [r for r in results if r.progress.problem]


def _arm(name: str, own: dict[int, Outcome], plain: dict[int, Outcome]) -> Arm:
    left_out, notes = {}, {}
    for seed in own.keys() & plain.keys():
        problem, note = comparable(own[seed].seen, plain[seed].seen)
        if problem:
            left_out[seed] = problem
        if note:
            notes[seed] = note
    pairs = sorted(own.keys() & plain.keys() - left_out.keys())
    differences = {seed: own[seed].value - plain[seed].value for seed in pairs}
    return Arm(name, own, difference(differences), left_out, notes)


def comparable(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, str]:
    """Tell whether two runs saw the same images.

    Args:
        one: Checksums of ``SameDataHook``.
        other: Those of the other run.

    Returns:
        Why they cannot be compared, or '', and what is to be known, or ''.
    """
    if not one or not other:
        return '', 'which images were seen is not on record'
    for key in ('iterations', 'images'):
        if one[key] != other[key]:
            what = 'for another number of iterations' if key == 'iterations' else 'on '
            what += '' if key == 'iterations' else 'other images, or in another order'
            return f'trained {what}', ''
    if one['pixels'] == other['pixels']:
        return '', ''
    if one['resumed'] or other['resumed']:
        return '', 'the same images, but cut otherwise after an interruption'
    return 'trained on images with other content', ''


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
