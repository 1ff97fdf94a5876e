"""Lets mmdet's COCO metric match boxes with faster-coco-eval instead of pycocotools."""

from __future__ import annotations

import importlib.util
from types import FunctionType, MethodType
from typing import Any

from mmengine.evaluator import Evaluator

from dropblock_mm.errors import MissingPackageError, RefusedValueError

_NAME = 'COCOeval'


def match_faster(evaluator: Evaluator) -> None:
    """Make the COCO metrics of an evaluator use faster-coco-eval.

    Its matching and accumulating in C++ take the place of pycocotools'; the summary
    stays pycocotools', whose AP counts 100 boxes of an image whatever
    ``proposal_nums`` says. Nothing outside ``evaluator`` changes.

    Args:
        evaluator (Evaluator): Of a runner.

    Raises:
        ModuleNotFoundError: It is not installed.
        ValueError: There is no metric that it can serve.
    """
    if importlib.util.find_spec('faster_coco_eval') is None:
        raise MissingPackageError(
            '--coco-eval faster needs the package faster-coco-eval, which is not '
            'installed. Run pip install faster-coco-eval, or leave it out.'
        )
    served = [metric for metric in evaluator.metrics if _is_served(metric)]
    if not served:
        names = ', '.join(type(metric).__name__ for metric in evaluator.metrics)
        raise RefusedValueError(
            '--coco-eval faster serves CocoMetric without use_mp_eval, but '
            f'test_evaluator has {names}. Leave it out.'
        )
    for metric in served:
        metric.compute_metrics = _with_other_matcher(metric)


def _is_served(metric: Any) -> bool:
    compute = type(metric).compute_metrics
    names = getattr(getattr(compute, '__code__', None), 'co_names', ())
    return _NAME in names and not getattr(metric, 'use_mp_eval', False)


def _with_other_matcher(metric: Any) -> MethodType:
    """Return ``compute_metrics`` with another class under the name that it looks up.

    mmdet offers no argument for it, and its module must not change for others.
    """
    compute = type(metric).compute_metrics
    function = FunctionType(
        compute.__code__,
        {**compute.__globals__, _NAME: _matcher()},
        compute.__name__,
        compute.__defaults__,
        compute.__closure__,
    )
    return MethodType(function, metric)


def _matcher() -> type:
    from faster_coco_eval import COCOeval_faster
    from pycocotools.cocoeval import COCOeval

    # pycocotools: AP of the best 100 boxes. faster-coco-eval: of as many as
    # params.maxDets allows, of which mmdet makes 1000.
    return type(_NAME, (COCOeval_faster,), {'summarize': COCOeval.summarize})
