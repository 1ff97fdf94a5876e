"""What is evaluated of models with DropBlock left on, and the curves of it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dropblock_mm.errors import RefusedValueError


@dataclass(frozen=True)
class Point:
    """One evaluation.

    Args:
        model: The model's name.
        block_size: Side of the dropped square.
        keep_prob: Of DropBlock; 1 drops nothing.
        seed: Of the masks.
        metric: Name of the number.
        value: The number; of shares, such as mmdet's mAP, in percent.
    """

    model: str
    block_size: int
    keep_prob: float
    seed: int
    metric: str
    value: float


@dataclass(frozen=True)
class Grid:
    """What is evaluated.

    Args:
        block_sizes: Sides of the dropped square.
        keep_probs: In (0, 1].
        seeds: Of the masks.
    """

    block_sizes: tuple[int, ...]
    keep_probs: tuple[float, ...]
    seeds: tuple[int, ...]

    def settings(self) -> list[tuple[int, float, int]]:
        """Return block size, keep_prob and seed of every evaluation of a model.

        Where nothing is dropped, one stands for all.
        """
        found = [(self.block_sizes[0], 1.0, self.seeds[0])] * (1.0 in self.keep_probs)
        return found + [
            (block_size, keep_prob, seed)
            for block_size in self.block_sizes
            for keep_prob in sorted(set(self.keep_probs), reverse=True)
            for seed in self.seeds
            if keep_prob < 1
        ]


def check_grid(grid: Grid) -> None:
    """Refuse a grid of one point, of which no curve can be drawn."""
    points = {(block_size, rate) for block_size, rate, _ in grid.settings()}
    if len(points) == 1:
        ((block_size, rate),) = points
        told = f'block {block_size}, keep_prob {rate:g}' if rate < 1 else 'keep_prob 1'
        raise RefusedValueError(
            f'the grid has one point, {told}: there is no curve to draw. Give more of '
            '--keep-probs or --block-sizes.'
        )


def check_same_metric(points: Sequence[Point]) -> None:
    """Refuse to draw models in one figure that are judged by different numbers."""
    first, last = points[0], points[-1]
    if last.metric != first.metric:
        raise RefusedValueError(
            f'{first.model} is judged by {first.metric} and {last.model} by '
            f'{last.metric}, which no figure can compare. Give models of one task, or '
            'another --out to each.'
        )


@dataclass(frozen=True)
class Curve:
    """A model at one block size: mean and spread over the masks' seeds.

    Args:
        model: The model's name.
        block_size: Side of the dropped square.
        keep_probs: In rising order.
        means: The metric.
        spreads: Sample standard deviations; 0 for one seed.
        counts: Numbers of seeds.
    """

    model: str
    block_size: int
    keep_probs: list[float]
    means: list[float]
    spreads: list[float]
    counts: list[int]


def curves_of(points: Sequence[Point], grid: Grid) -> list[Curve]:
    """Gather points to curves; where nothing is dropped they share a point."""
    curves = []
    for model in dict.fromkeys(point.model for point in points):
        own = [point for point in points if point.model == model]
        for block_size in grid.block_sizes:
            groups: dict[float, list[float]] = {}
            for point in own:
                if point.block_size == block_size or point.keep_prob == 1:
                    groups.setdefault(point.keep_prob, []).append(point.value)
            if not groups:  # without keep_prob 1, sizes to come have no point yet
                continue
            rates = sorted(groups)
            values = [groups[rate] for rate in rates]
            curves.append(
                Curve(
                    model,
                    block_size,
                    rates,
                    [statistics.fmean(v) for v in values],
                    [statistics.stdev(v) if len(v) > 1 else 0.0 for v in values],
                    [len(v) for v in values],
                )
            )
    return curves


def as_numbers(points: Sequence[Point], what: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept in JSON: the points, and what they are of."""
    return {'what': what, 'points': [asdict(point) for point in points]}


def known_points(numbers: Any, what: dict[str, Any]) -> list[Point]:
    """Return the points of an earlier, interrupted call for the same.

    Raises:
        RefusedValueError: What was evaluated then is not what is asked for now.
    """
    if not numbers:
        return []
    if numbers.get('what') != what:
        changed = [k for k in what if (numbers.get('what') or {}).get(k) != what[k]]
        raise RefusedValueError(
            'the file holds evaluations of something else '
            f'({", ".join(changed) or "of another version"} differs). Give another '
            '--out, or remove the file.'
        )
    return [Point(**point) for point in numbers['points']]
