"""Small detectors on a narrow ResNet-18, and data for them."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData
from torch import nn
from torch.utils.data import Dataset

from dropblock_mm.registry import DATASETS

IMAGE_SIZE = 64
CLASSES = 3
CHANNELS = 16

_HEADS: dict[str, dict[str, Any]] = {
    # Each process divides its losses by its own number of positive anchors.
    'RetinaNet': {
        'type': 'RetinaHead',
        'anchor_generator': {
            'type': 'AnchorGenerator',
            'octave_base_scale': 4,
            'scales_per_octave': 3,
            'ratios': [0.5, 1.0, 2.0],
            'strides': [8, 16, 32],
        },
    },
    # All of them divide by the mean number.
    'ATSS': {
        'type': 'ATSSHead',
        'norm_cfg': {'type': 'GN', 'num_groups': 4},
        'loss_bbox': {'type': 'GIoULoss', 'loss_weight': 2.0},
        'anchor_generator': {
            'type': 'AnchorGenerator',
            'octave_base_scale': 8,
            'scales_per_octave': 1,
            'ratios': [1.0],
            'strides': [8, 16, 32],
        },
    },
}
_ASSIGNERS = {
    'RetinaNet': {'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.5, 'neg_iou_thr': 0.4},
    'ATSS': {'type': 'ATSSAssigner', 'topk': 9},
}


@DATASETS.register_module()
class ToyBoxes(Dataset):
    """Noise with one to three bright rectangles, whose class is their colour."""

    def __init__(self, length: int = 8) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        from mmdet.structures import DetDataSample

        generator = torch.Generator().manual_seed(index)
        image = torch.randint(0, 80, (3, IMAGE_SIZE, IMAGE_SIZE), generator=generator)
        count = 1 + index % 3
        corners = torch.randint(0, 32, (count, 2), generator=generator)
        sizes = torch.randint(16, 32, (count, 2), generator=generator)
        boxes = torch.cat([corners, corners + sizes], dim=1)
        labels = torch.randint(0, CLASSES, (count,), generator=generator)
        for (x1, y1, x2, y2), label in zip(
            boxes.tolist(), labels.tolist(), strict=True
        ):
            image[label, y1:y2, x1:x2] += 150
        shape = (IMAGE_SIZE, IMAGE_SIZE)
        sample = DetDataSample(
            metainfo={'img_shape': shape, 'ori_shape': shape, 'scale_factor': (1, 1)}
        )
        sample.gt_instances = InstanceData(bboxes=boxes.float(), labels=labels)
        return {'inputs': image.to(torch.uint8), 'data_samples': sample}


def toy_detector(kind: str = 'RetinaNet', **backbone: Any) -> nn.Module:
    """Build a detector whose width is an eighth of the usual, or less.

    Args:
        kind: 'RetinaNet' or 'ATSS', as in mmdet.
        **backbone: Arguments of mmdet's ResNet.
    """
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(toy_detector_config(kind, **backbone))


def toy_detector_config(kind: str, **backbone: Any) -> dict[str, Any]:
    """Return the config of :func:`toy_detector`."""
    return {
        'type': kind,
        'data_preprocessor': {
            'type': 'DetDataPreprocessor',
            'mean': [60.0] * 3,
            'std': [60.0] * 3,
        },
        'backbone': {
            'type': 'ResNet',
            'depth': 18,
            'base_channels': 8,
            'stem_channels': 8,
            'out_indices': (1, 2, 3),
            **backbone,
        },
        'neck': {
            'type': 'FPN',
            'in_channels': [16, 32, 64],
            'out_channels': CHANNELS,
            'num_outs': 3,
        },
        'bbox_head': {
            'num_classes': CLASSES,
            'in_channels': CHANNELS,
            'feat_channels': CHANNELS,
            'stacked_convs': 1,
            **_HEADS[kind],
        },
        'train_cfg': {
            'assigner': _ASSIGNERS[kind],
            'allowed_border': -1,
            'pos_weight': -1,
        },
        'test_cfg': {'nms_pre': 100, 'score_thr': 0.05, 'max_per_img': 10},
    }
