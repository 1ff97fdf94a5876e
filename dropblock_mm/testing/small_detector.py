"""The beginning of a config of a small detector, as text."""

from __future__ import annotations

_TEXT = """
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(depth=18, base_channels=8, stem_channels=8, init_cfg=None,
                  frozen_stages=-1, norm_eval=False),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=16),
    bbox_head=dict(
        num_classes=NUMBER, in_channels=16, feat_channels=16, stacked_convs=1))
"""


def small_detector(num_classes: int) -> str:
    """Return mmdet's RetinaNet with a narrow ResNet-18, to go on with its data."""
    return _TEXT.replace('NUMBER', str(num_classes))
