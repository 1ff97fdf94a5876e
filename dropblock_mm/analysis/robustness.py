"""Trained models evaluated with DropBlock left on (Figure 5 of the paper)."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from numbers import Real
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import HOOKS
from torch import nn

from dropblock_mm import InjectionHook, runs
from dropblock_mm.analysis.trained.models import TrainedModel
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.hooks.fragments import find_fragment
from dropblock_mm.injection import Target, detach, inject_targets
from dropblock_mm.layers import DropBlock2d
from dropblock_mm.runs.libraries import METRICS, percent

PAPERS = 'resnet_c4c5'  # the fragment of the paper's sites


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


def targets_of(
    cfgs: Sequence[Config], fragment: str | None, model: nn.Module
) -> list[Target]:
    """Return where DropBlock goes: the same sites in every model.

    Args:
        cfgs: Of the models; the first that injects DropBlock says where.
        fragment: Name or file of hooks that say it instead; the paper's where nobody
            does.
        model: What 'auto' looks at, the first model.
    """
    if fragment is None:
        for cfg in cfgs:
            found = _targets_in(cfg, model)
            if found:
                return found
    found = _targets_in(Config.fromfile(find_fragment(fragment or PAPERS)), model)
    if not found:
        raise RefusedValueError(f'--dropblock {fragment!r} injects no DropBlock.')
    return found


def _targets_in(cfg: Config, model: nn.Module) -> list[Target]:
    hooks = [
        HOOKS.build(hook)
        for hook in cfg.get('custom_hooks') or []
        if 'Injection' in str(hook.get('type'))
    ]
    injections = [hook for hook in hooks if isinstance(hook, InjectionHook)]
    targets = [target for hook in injections for target in hook.targets_for(model)]
    return [target for target in targets if target.layer is DropBlock2d]


@contextmanager
def dropping(
    trained: TrainedModel, targets: Sequence[Target], block_size: int, keep_prob: float
) -> Iterator[None]:
    """Around an evaluation: blocks are dropped, and all else is in eval mode.

    Args:
        trained: The model.
        targets: Where; their own keep_prob and block size give way.
        block_size: Side of the dropped square.
        keep_prob: In (0, 1].
    """
    changed = [
        replace(
            target,
            keep_prob=keep_prob,
            options={**target.options, 'block_size': block_size},
        )
        for target in targets
    ]
    sites = inject_targets(trained.model, changed)
    for site in sites:
        site.layer.train()
    try:
        yield
    finally:
        detach(sites)


def _nothing() -> None:
    """Do nothing at a batch."""


def evaluate(
    trained: TrainedModel, loader: Any, on_batch: Callable[[], object] = _nothing
) -> tuple[str, float]:
    """Evaluate a model as it is; return the metric's name and the number, in percent.

    Args:
        trained: The model; its mode is not changed.
        loader: Of the test data.
        on_batch: Called after each batch.

    Raises:
        RefusedValueError: The evaluation gives no number.
    """
    trained.look_up_names()
    evaluator = Evaluator(trained.cfg.test_evaluator)
    evaluator.dataset_meta = getattr(loader.dataset, 'metainfo', None)
    model: Any = trained.model
    with torch.no_grad():
        for batch in loader:
            evaluator.process(data_samples=model.test_step(batch), data_batch=batch)
            on_batch()
    found = evaluator.evaluate(len(loader.dataset))
    for metric in (*METRICS, *found):
        if isinstance(found.get(metric), Real):  # mmseg's are NumPy's
            return metric, percent(metric) * float(found[metric])
    raise RefusedValueError(
        f'{trained.name}: the test_evaluator of its config gives no number. Give '
        'another by --cfg-options test_evaluator.type=...'
    )


def evaluate_points(
    trained: TrainedModel,
    loader: Any,
    targets: Sequence[Target],
    settings: Sequence[tuple[int, float, int]],
    on_batch: Callable[[], object] = _nothing,
) -> Iterator[Point]:
    """Yield the evaluations of a model, one by one."""
    runs.require(trained.cfg, 'test_evaluator')
    for block_size, keep_prob, seed in settings:
        torch.manual_seed(seed)
        with dropping(trained, targets, block_size, keep_prob):
            metric, value = evaluate(trained, loader, on_batch)
        yield Point(trained.name, block_size, keep_prob, seed, metric, value)


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
