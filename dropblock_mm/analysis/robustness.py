"""Trained models evaluated with DropBlock left on (Figure 5 of the paper)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Real
from typing import Any

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import HOOKS
from torch import nn

from dropblock_mm import InjectionHook, runs
from dropblock_mm.analysis.robustness_points import Point
from dropblock_mm.analysis.trained.models import TrainedModel
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.hooks.fragments import find_fragment
from dropblock_mm.injection import Target, detach, inject_targets
from dropblock_mm.layers import DropBlock2d
from dropblock_mm.runs.libraries import METRICS, percent

PAPERS = 'resnet_c4c5'  # the fragment of the paper's sites


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
