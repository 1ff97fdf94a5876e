"""What is refused of a metric's arguments is what ends it, and nothing else."""

import sys

import numpy as np
import pytest
import torch
from mmdet.evaluation import CocoMetric, VOCMetric
from mmpretrain.evaluation import AveragePrecision, MultiLabelMetric, SingleLabelMetric
from mmseg.evaluation import IoUMetric

from dropblock_mm.data_checks.entries import MetricEntry
from dropblock_mm.data_checks.metric_settings import setting_problems

BOX = np.array([[4.0, 4, 20, 20]])
DETECTED = dict(img_id=0, bboxes=BOX, scores=np.array([0.9]), labels=np.array([0]))
ANNOTATED = dict(
    img_id=0, width=32, height=32, anns=[dict(bbox_label=0, bbox=[4, 4, 20, 20])]
)
NOTHING = np.zeros((0, 4))
SCORES, TRUTH = torch.tensor([0.9, 0.1]), torch.tensor([1, 0])
AREAS = tuple(torch.ones(2) for _ in range(4))
# A perfect result of each metric's own kind.
RESULTS = {
    CocoMetric: (ANNOTATED, DETECTED),
    VOCMetric: (
        dict(
            labels=np.array([0]),
            bboxes=BOX,
            bboxes_ignore=NOTHING,
            labels_ignore=np.zeros(0),
        ),
        [np.hstack([BOX, [[0.9]]]), np.zeros((0, 5))],
    ),
    IoUMetric: AREAS,
    SingleLabelMetric: dict(pred_score=SCORES, gt_label=torch.tensor([0])),
    MultiLabelMetric: dict(pred_score=SCORES, gt_score=TRUTH),
    AveragePrecision: dict(pred_score=SCORES, gt_score=TRUTH),
}
SETTINGS = [
    (kind, settings)
    for kind, rows in {
        VOCMetric: [
            dict(),
            dict(metric='recall'),
            dict(metric=['mAP']),
            dict(metric='map'),
            dict(metric=['mAP', 'recall']),
            dict(metric=[]),
            dict(eval_mode='area'),
            dict(eval_mode='12points'),
            dict(eval_mode=None),
            dict(iou_thrs=0.75),
            dict(iou_thrs=[0.5, 0.75]),
            dict(iou_thrs=(0.5, 0.75)),
            dict(iou_thrs=1),
            dict(iou_thrs=[]),
        ],
        CocoMetric: [
            dict(),
            dict(metric=['bbox', 'proposal']),
            dict(metric='bbx'),
            dict(metric=['bbox', 3]),
            dict(metric=('bbox', 'segm')),
            dict(metric_items=['mAP', 'mAP_s']),
            dict(metric_items=['mAP', 'AP50']),
            dict(format_only=True),
            dict(iou_thrs=None, classwise=True),
            dict(iou_thrs=[0.5, 0.75]),
            dict(iou_thrs=0.5),
            dict(iou_thrs=[0.5], metric='proposal_fast'),
            dict(proposal_nums=(1, 10, 100)),
            dict(proposal_nums=[1000, 300, 100]),
            dict(proposal_nums=(1, 10, 300)),
            dict(proposal_nums=(100, 300)),
            dict(proposal_nums=300),
            dict(proposal_nums=(1, 10, 300), metric='proposal'),
            dict(proposal_nums=(10,), metric='proposal_fast'),
        ],
        IoUMetric: [
            dict(iou_metrics=['mIoU', 'mDice']),
            dict(iou_metrics='mFscore'),
            dict(iou_metrics=['IoU']),
        ],
        SingleLabelMetric: [
            dict(num_classes=2),
            dict(num_classes=2, items=('precision', 'f1')),
            dict(num_classes=2, average=None),
            dict(num_classes=2, average='mean'),
        ],
        MultiLabelMetric: [
            dict(average='micro'),
            dict(items=['recal']),
            dict(average='mean'),
        ],
        AveragePrecision: [dict(average=None), dict(average='micro')],
    }.items()
    for settings in rows
]


def evaluates(kind, settings):
    """Whether the class itself takes the settings, and a perfect result is one."""
    try:
        metric = kind(**settings)
        metric.dataset_meta = dict(classes=('cat', 'dog'))
        found = metric.compute_metrics([RESULTS[kind]])
    except (AssertionError, LookupError, TypeError, ValueError, ZeroDivisionError):
        return False
    # Objects of 16 by 16 are small ones; pycocotools has -1 for the others.
    sizes = ('_m', '_l', '_m@1000', '_l@1000')
    judged = [np.asarray(v) for n, v in found.items() if not n.endswith(sizes)]
    return not any(np.any(value == -1) for value in judged)


@pytest.mark.parametrize(('kind', 'settings'), SETTINGS)
def test_what_is_refused_is_what_ends_it(kind, settings):
    metric = MetricEntry('val_evaluator', kind.__name__, None, (), settings)
    found = list(setting_problems(metric))
    assert bool(found) != evaluates(kind, settings)
    for text in found:
        name, value = next(
            (n, v) for n, v in settings.items() if f'val_evaluator.{n}=' in text
        )
        assert text.startswith(f'val_evaluator.{name}={value!r}: {kind.__name__} ')
        assert text.endswith('.')


@pytest.mark.parametrize(
    ('kind', 'settings', 'said'),
    [
        ('CityScapesMetric', dict(outfile_prefix='a'), 'Set seg_prefix'),
        ('CityScapesMetric', dict(outfile_prefix='a', seg_prefix='b'), ''),
        (
            'CityScapesMetric',
            dict(outfile_prefix=None, format_only=True),
            'outfile_prefix',
        ),
        (
            'CityscapesMetric',
            dict(output_dir='a', format_only=True),
            'keep_results=True',
        ),
        (
            'CityscapesMetric',
            dict(output_dir='a', format_only=True, keep_results=True),
            '',
        ),
        ('LVISMetric', dict(format_only=True), 'outfile_prefix'),
        ('SomebodysMetric', dict(metric='anything', iou_thrs=1), ''),
    ],
)
def test_metrics_whose_packages_are_not_installed(kind, settings, said):
    found = list(
        setting_problems(MetricEntry('val_evaluator', kind, None, (), settings))
    )
    assert bool(found) == bool(said)
    assert said in ''.join(found)


@pytest.mark.parametrize(
    ('source', 'given', 'refused'),
    [
        ('x.astype(dtype=np.float)', {}, True),
        ('x.astype(dtype=np.float64)', {}, False),
        ('x.astype(dtype=np.float)', dict(metric='proposal_fast'), False),
        ('x.astype(np.float)', dict(format_only=True, outfile_prefix='a'), False),
    ],
)
def test_an_lvis_that_is_too_old_for_numpy(
    tmp_path, monkeypatch, source, given, refused
):
    """lvis 0.5.3 ends with an AttributeError after the first epoch of training."""
    (tmp_path / 'lvis').mkdir()
    (tmp_path / 'lvis/__init__.py').touch()
    (tmp_path / 'lvis/eval.py').write_text(source)
    monkeypatch.delitem(sys.modules, 'lvis', raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    config = dict(type='LVISMetric', **given)
    metric = MetricEntry('val_evaluator', 'LVISMetric', None, (), config)
    texts = list(setting_problems(metric))
    assert len(texts) == refused
    assert all("val_evaluator.type='LVISMetric'" in text for text in texts)
    assert all(str(tmp_path / 'lvis/eval.py') in text for text in texts)
