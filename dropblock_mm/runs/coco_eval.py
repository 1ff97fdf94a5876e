"""Lets mmdet's COCO metric match boxes with faster-coco-eval instead of pycocotools.

mmdet offers no argument for it: ``compute_metrics`` asks its module for ``COCOeval``.
So that name is changed while such a call lasts, and given back whatever happens. The
other ways are worse: the package's own ``init_as_pycocotools`` changes pycocotools for
the whole process; a metric of ours with a ``compute_metrics`` of its own would be a
copy of mmdet's that ages; and a copy of its function with other globals hides from
debuggers and breaks with any change of how functions are made.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.evaluator import Evaluator

from dropblock_mm.errors import MissingPackageError, RefusedValueError

_NAME = 'COCOeval'
# Two metrics of ours that changed the name at the same time could not both give it
# back as it was.
_ONE_AT_A_TIME = threading.RLock()


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
        metric.compute_metrics = _matching_faster(metric)


def _is_served(metric: Any) -> bool:
    return hasattr(_module(metric), _NAME) and not getattr(metric, 'use_mp_eval', False)


def _module(metric: Any) -> Any:
    """The module whose names ``compute_metrics`` looks up."""
    return sys.modules.get(type(metric).compute_metrics.__module__)


def _matching_faster(metric: Any) -> Callable[[list[Any]], Any]:
    compute = metric.compute_metrics

    def compute_metrics(results: list[Any]) -> Any:
        """Compute the metrics, matched by faster-coco-eval."""
        with _in_its_place(_module(metric), _matcher()):
            return compute(results)

    return compute_metrics


@contextmanager
def _in_its_place(module: Any, matcher: type) -> Iterator[None]:
    """Put a class under the name, for this thread; others get what they always got."""
    with _ONE_AT_A_TIME:
        original, thread = getattr(module, _NAME), threading.get_ident()

        def choose(*args: Any, **kwargs: Any) -> Any:
            ours = threading.get_ident() == thread
            return (matcher if ours else original)(*args, **kwargs)

        setattr(module, _NAME, choose)
        try:
            yield
        finally:
            setattr(module, _NAME, original)


def _matcher() -> type:
    from faster_coco_eval import COCOeval_faster
    from pycocotools.cocoeval import COCOeval

    # pycocotools: AP of the best 100 boxes. faster-coco-eval: of as many as
    # params.maxDets allows, of which mmdet makes 1000.
    return type(_NAME, (COCOeval_faster,), {'summarize': COCOeval.summarize})
