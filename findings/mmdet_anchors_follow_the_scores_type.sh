#!/usr/bin/env bash
# mmdet 3.3.0: in mixed precision anchors are rounded, by up to four pixels in bfloat16.
#
# A good guess: autocast takes convolutions to lower precision, and leaves coordinates
# alone, as the targets of training are computed in float32. Where boxes are predicted,
# anchors are made in the type of the scores (BaseDenseHead.predict_by_feat,
# `dtype=cls_scores[0].dtype`), before anything is known of the image's size: bfloat16
# counts in steps of 4 above 512 pixels and of 8 above 1024, float16 in steps of 1 above
# 1024. So the proposals of an RPNHead that trains in bfloat16 lie beside those that it
# would make in float32, and so do the boxes of an evaluation with fp16=True.
#
# Seen on 2026-11-29 with RetinaHead, whose weights are all 0 so that each box is its
# anchor, at 1344x800: boxes in float32 without autocast; boxes in bfloat16, up to 4.08
# pixels and .72 in the mean from those; in float16, up to .70 and .09.
# Installs pinned public packages in a temporary folder (6 GB), and fails if what they
# do has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile torch==2.14.1 \
    torchvision==0.29.1 numpy==2.2.6 'setuptools<81' \
    mmengine==0.10.7 mmcv-lite==2.1.0 mmdet==3.3.0 \
    opencv-python-headless==4.12.0.88
# MMEngine asks for the desktop build of OpenCV; both own the same files.
"$folder/venv/bin/pip" install -q --force-reinstall --no-deps \
    opencv-python-headless==4.12.0.88

"$folder/venv/bin/python" -W ignore - <<'PYTHON'
import sys
import types

import torch


class Operators(types.ModuleType):
    """In the place of mmcv's compiled operators, none of which is called here."""

    __path__ = []

    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return type(name, (torch.nn.Module,), {})


PARTS = (
    '',
    '.carafe',
    '.merge_cells',
    '.modulated_deform_conv',
    '.multi_scale_deform_attn',
    '.nms',
    '.roi_align',
)
for part in PARTS:
    sys.modules[f'mmcv.ops{part}'] = Operators(f'mmcv.ops{part}')

from mmdet import __version__
from mmdet.models.dense_heads import RetinaHead
from mmengine.config import ConfigDict

HEIGHT, WIDTH = 800, 1344
STRIDES = (8, 16, 32, 64, 128)
head = RetinaHead(
    num_classes=1,
    in_channels=4,
    stacked_convs=1,
    feat_channels=4,
    test_cfg=ConfigDict(nms_pre=1_000_000, score_thr=0.0, min_bbox_size=0),
)
for parameter in head.parameters():
    torch.nn.init.zeros_(parameter)
maps = [torch.zeros(1, 4, HEIGHT // s, WIDTH // s) for s in STRIDES]
images = [dict(img_shape=(HEIGHT, WIDTH), scale_factor=(1, 1))]


def boxes(dtype):
    lower = dtype is not torch.float32
    with torch.autocast('cpu', dtype=dtype, enabled=lower), torch.no_grad():
        found = head.predict_by_feat(
            *head(maps), batch_img_metas=images, with_nms=False
        )
    return found[0].bboxes


exact = boxes(torch.float32)
found = []
for dtype in (torch.float32, torch.bfloat16, torch.float16):
    lower = boxes(dtype)
    off = (lower - exact).abs()
    found.append((lower.dtype, round(off.max().item(), 2), round(off.mean().item(), 2)))
    print(
        f'mmdet {__version__}, torch {torch.__version__}, {len(lower)} boxes under '
        f'{dtype}: {lower.dtype}, off by {found[-1][1]} at most, {found[-1][2]} in the '
        'mean'
    )
expected = [
    (torch.float32, 0.0, 0.0),
    (torch.bfloat16, 4.08, 0.72),
    (torch.float16, 0.7, 0.09),
]
raise SystemExit(found != expected)
PYTHON
