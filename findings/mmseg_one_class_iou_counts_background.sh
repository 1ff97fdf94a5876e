#!/usr/bin/env bash
# mmsegmentation 1.2.2: IoUMetric with one class gives a blind model an IoU of .82.
#
# A good guess: with classes=('crack',), num_classes=1 and label maps of 0 and 1, which
# the heads of mmseg train on (a sigmoid of one channel), mIoU is the IoU of the cracks.
# IoUMetric counts by torch.histc(bins=1, min=0, max=0) (evaluation/metrics/
# iou_metric.py, intersect_and_union), and for equal limits histc takes those of the
# data: one bin with everything in it. What comes out is right pixels, of the background
# too, over twice the pixels less these: an accuracy, high for whoever finds nothing.
# Two classes, the background among them, are counted well.
#
# Seen on 2026-11-29, a tenth of the pixels cracked, none found: IoU 81.82 with one
# class, 0.0 of the cracks with two.
# Installs pinned public packages in a temporary folder (1 to 6 GB), and fails if what
# they do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.2.6 \
    mmengine==0.10.7 mmcv-lite==2.1.0 prettytable==3.18.0 setuptools==80.9.0
"$folder/venv/bin/pip" install -q --no-compile --no-deps mmsegmentation==1.2.2
# MMEngine asks for the desktop build of OpenCV; both own the same files.
"$folder/venv/bin/pip" install -q --force-reinstall --no-deps \
    opencv-python-headless==4.12.0.88

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import logging

import mmseg
import torch
from mmengine.logging import MMLogger
from mmseg.evaluation.metrics.iou_metric import IoUMetric

MMLogger.get_instance('finding', log_level=logging.ERROR)
cracks = torch.zeros(10, 10, dtype=torch.long)
cracks[0] = 1
nothing = torch.zeros_like(cracks)


def iou(classes):
    """IoU of the last class, of a model that finds nothing."""
    metric = IoUMetric(iou_metrics=['mIoU'])
    metric.dataset_meta = dict(classes=classes)
    sample = dict(
        pred_sem_seg=dict(data=nothing[None]), gt_sem_seg=dict(data=cracks[None])
    )
    metric.process({}, [sample])
    areas = [sum(column) for column in zip(*metric.results)]
    found = metric.total_area_to_metrics(*areas, metrics=['mIoU'])
    mean = metric.compute_metrics(metric.results)['mIoU']
    return round(float(found['IoU'][-1]) * 100, 2), round(float(mean), 2)


one, two = iou(('crack',)), iou(('background', 'crack'))
print(
    f'mmseg {mmseg.__version__}: IoU of cracks where none is found: {one[0]} with one '
    f'class (mIoU {one[1]}), {two[0]} with two (mIoU {two[1]})'
)
raise SystemExit((one, two) != ((81.82, 81.82), (0.0, 45.0)))
PYTHON
