"""Arguments of metrics that their classes refuse with a traceback.

Some assert when the metric is built, some when all results are in, after the first
epoch of training.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from dropblock_mm.data_checks.entries import MetricEntry

Flaws = Iterator[tuple[str, str]]
_COCO_ITEMS = (
    *('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l'),
    *('AR@100', 'AR@300', 'AR@1000', 'AR_s@1000', 'AR_m@1000', 'AR_l@1000'),
)


def setting_problems(metric: MetricEntry) -> Iterator[str]:
    """Find arguments with which a metric cannot be built, or cannot evaluate.

    Args:
        metric: Of any library; of one that is not known here, nothing is said.

    Yields:
        str: Each problem under its key, with the value and what to write.
    """
    look = _LOOKS.get(metric.type)
    given = metric.config
    for name, remedy in look(given) if look else ():
        said = f'{metric.key}.{name}={given[name]!r}' if name in given else metric.key
        yield f'{said}: {metric.type} {remedy}'


def _unknown(
    given: Mapping[str, Any], name: str, known: Sequence[Any], listed: bool = True
) -> Flaws:
    """One value, or each of a list, is to be of the known ones."""
    if name not in given or (given[name] is None and listed):
        return
    value = given[name]
    values = value if listed and isinstance(value, (list, tuple)) else [value]
    if any(not isinstance(v, (str, type(None))) or v not in known for v in values):
        yield name, f'knows {", ".join(map(str, known))} alone. Give of these.'


def _of_voc(given: Mapping[str, Any]) -> Flaws:
    several = given.get('metric')
    if isinstance(several, (list, tuple)) and len(several) != 1:
        yield (
            'metric',
            "takes one. Set metric='mAP', and give each further one a VOCMetric of "
            'its own, with a prefix.',
        )
    else:
        yield from _unknown(given, 'metric', ('mAP', 'recall'))
    yield from _unknown(given, 'eval_mode', ('11points', 'area'), listed=False)
    thresholds = given.get('iou_thrs', 0.5)
    if not isinstance(thresholds, (float, list)) or thresholds == []:
        yield (
            'iou_thrs',
            'takes a float or a list of floats, and evaluation ends with anything '
            'else. Write iou_thrs=[0.5, 0.75], say.',
        )


def _of_coco(given: Mapping[str, Any]) -> Flaws:
    known = ('bbox', 'segm', 'proposal', 'proposal_fast')
    if isinstance(given.get('metric'), tuple):
        yield 'metric', 'takes a list of them, and no tuple. Write it in brackets.'
    else:
        yield from _unknown(given, 'metric', known)
    yield from _unknown(given, 'metric_items', _COCO_ITEMS)
    yield from _file_of_results(given)
    yield from _of_boxes_in_an_image(given)
    thresholds = given.get('iou_thrs')
    alone = given.get('metric') in ('proposal_fast', ['proposal_fast'])
    if thresholds is None or alone:
        return
    # The summary compares it with a number, which an array of NumPy alone bears; and
    # MMEngine's Runner ends where a config holds one.
    yield (
        'iou_thrs',
        'hands it to pycocotools, whose summary ends there or gives -1 for AP. Leave '
        'it out: AP at 0.5 and at 0.75 are logged beside the mean.',
    )


def _of_boxes_in_an_image(given: Mapping[str, Any]) -> Flaws:
    """AP is summed up at 100 boxes by pycocotools 2.0.11, whatever it is given."""
    numbers, kinds = given.get('proposal_nums'), given.get('metric', 'bbox')
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if 'proposal_nums' not in given or kinds == ['proposal_fast']:
        return
    if not isinstance(numbers, (list, tuple)) or len(numbers) < 3:
        yield 'proposal_nums', 'asks for three numbers. Write (100, 300, 1000), say.'
    elif 100 not in numbers and any(kind in ('bbox', 'segm') for kind in kinds):
        yield (
            'proposal_nums',
            'has no AP then but -1, and save_best keeps the first checkpoint: '
            'pycocotools takes the AP of the best 100 boxes of an image. Put 100 among '
            'the numbers.',
        )


def _file_of_results(given: Mapping[str, Any]) -> Flaws:
    if given.get('format_only') and given.get('outfile_prefix') is None:
        yield (
            'format_only',
            'writes its results to files then, and has no name for them. Set '
            "outfile_prefix='results/val', say.",
        )


def _of_lvis(given: Mapping[str, Any]) -> Flaws:
    yield from _file_of_results(given)
    counts = given.get('metric') not in ('proposal_fast', ['proposal_fast'])
    old = _old_lvis() if counts and not given.get('format_only') else None
    if old:
        yield (
            'type',
            f'cannot evaluate: {old!r} of the package lvis uses np.float, which NumPy '
            f'{np.__version__} has no more. Write float for np.float in that file.',
        )


def _old_lvis() -> str | None:
    """The file of lvis (0.5.3, say) that ends evaluation with NumPy 1.24 and later."""
    package = find_spec('lvis')
    if package is None or not package.origin or 'float' in vars(np):
        return None
    path = os.path.join(os.path.dirname(package.origin), 'eval.py')
    if not os.path.isfile(path):
        return None
    with open(path, encoding='utf-8') as file:
        return path if re.search(r'\bnp\.float\b', file.read()) else None


def _of_iou(given: Mapping[str, Any]) -> Flaws:
    yield from _unknown(given, 'iou_metrics', ('mIoU', 'mDice', 'mFscore'))


def _of_instances(given: Mapping[str, Any]) -> Flaws:
    """CityScapesMetric, of mmdet."""
    if given.get('format_only'):
        yield from _file_of_results(given)
    elif given.get('seg_prefix') is None:
        yield 'seg_prefix', 'has no folder of label maps. Set seg_prefix to it.'


def _of_cityscapes(given: Mapping[str, Any]) -> Flaws:
    """CityscapesMetric, of mmseg."""
    if given.get('format_only') and not given.get('keep_results'):
        yield (
            'format_only',
            'would delete the results that it writes. Set keep_results=True too.',
        )


def _of_classes(given: Mapping[str, Any]) -> Flaws:
    items = ('precision', 'recall', 'f1-score', 'support')
    yield from _unknown(given, 'items', items)
    yield from _average(given)


def _average(given: Mapping[str, Any]) -> Flaws:
    yield from _unknown(given, 'average', ('micro', 'macro', None), listed=False)


def _average_of_classes(given: Mapping[str, Any]) -> Flaws:
    yield from _unknown(given, 'average', ('macro', None), listed=False)


_LOOKS: Mapping[str, Callable[[Mapping[str, Any]], Flaws]] = {
    'VOCMetric': _of_voc,
    'CocoMetric': _of_coco,
    'LVISMetric': _of_lvis,
    'CocoPanopticMetric': _file_of_results,
    'CityScapesMetric': _of_instances,
    'CityscapesMetric': _of_cityscapes,
    'IoUMetric': _of_iou,
    'SingleLabelMetric': _of_classes,
    'MultiLabelMetric': _of_classes,
    'AveragePrecision': _average_of_classes,
}
