"""Small models of mmdet, mmseg and mmpretrain, with weights and images, as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

SIDE, IMAGES = 64, 6
CLASSES = ('cat', 'dog', 'cow')
_NORMS = {'mean': [127.0] * 3, 'std': [64.0] * 3, 'bgr_to_rgb': True}
_STUDENT: dict[str, Any] = {'type': 'ResNet', 'depth': 18, 'base_channels': 8}
_LOAD = {'type': 'LoadImageFromFile'}
_RESIZE = {'type': 'Resize', 'scale': (SIDE, SIDE), 'keep_ratio': False}


def _detector() -> dict[str, Any]:
    return {
        'type': 'RetinaNet',
        'data_preprocessor': {'type': 'DetDataPreprocessor', **_NORMS},
        'backbone': {**_STUDENT, 'stem_channels': 8},
        'neck': {
            'type': 'FPN',
            'in_channels': [8, 16, 32, 64],
            'out_channels': 16,
            'start_level': 1,
            'num_outs': 3,
        },
        'bbox_head': {
            'type': 'RetinaHead',
            'num_classes': len(CLASSES),
            'in_channels': 16,
            'feat_channels': 16,
            'stacked_convs': 1,
            'anchor_generator': {
                'type': 'AnchorGenerator',
                'octave_base_scale': 4,
                'scales_per_octave': 1,
                'ratios': [1.0],
                'strides': [8, 16, 32],
            },
            'bbox_coder': {'type': 'DeltaXYWHBBoxCoder'},
        },
        'test_cfg': {
            'nms_pre': 100,
            'min_bbox_size': 0,
            'score_thr': 0.0,
            'nms': {'type': 'nms', 'iou_threshold': 0.9},
            'max_per_img': 100,
        },
    }


def _segmentor() -> dict[str, Any]:
    return {
        'type': 'EncoderDecoder',
        'data_preprocessor': {'type': 'SegDataPreProcessor', **_NORMS},
        'backbone': {**_STUDENT, 'stem_channels': 8},
        'decode_head': {
            'type': 'FCNHead',
            'in_channels': 64,
            'in_index': 3,
            'channels': 8,
            'num_convs': 1,
            'num_classes': len(CLASSES),
            'norm_cfg': {'type': 'BN'},
        },
        'test_cfg': {'mode': 'whole'},
    }


def _classifier() -> dict[str, Any]:
    return {
        'type': 'ImageClassifier',
        'data_preprocessor': {'num_classes': 3, 'mean': [127.0] * 3, 'std': [64.0] * 3},
        'backbone': {**_STUDENT, 'stem_channels': 8},
        'neck': {'type': 'GlobalAveragePooling'},
        'head': {
            'type': 'LinearClsHead',
            'num_classes': len(CLASSES),
            'in_channels': 64,
            'loss': {'type': 'CrossEntropyLoss'},
        },
    }


def _data(library: str, root: str) -> dict[str, Any]:
    """Return the test's loader and evaluator."""
    load = {'type': 'LoadAnnotations', 'with_bbox': True}
    known: dict[str, dict[str, Any]] = {
        'mmdet': {
            'type': 'CocoDataset',
            'ann_file': 'coco.json',
            'data_prefix': {'img': 'images'},
            'metainfo': {'classes': CLASSES},
            'test_mode': True,
            'pipeline': [_LOAD, _RESIZE, load, {'type': 'PackDetInputs'}],
        },
        'mmseg': {
            'type': 'BaseSegDataset',
            'data_prefix': {'img_path': 'images', 'seg_map_path': 'labels'},
            'metainfo': {
                'classes': CLASSES,
                'palette': [[0, 0, 0], [255, 0, 0], [9] * 3],
            },
            'img_suffix': '.png',
            'seg_map_suffix': '.png',
            'pipeline': [
                _LOAD,
                _RESIZE,
                {'type': 'LoadAnnotations'},
                {'type': 'PackSegInputs'},
            ],
        },
        'mmpretrain': {
            'type': 'CustomDataset',
            'ann_file': 'list.txt',
            'data_prefix': 'images',
            'metainfo': {'classes': CLASSES},
            'pipeline': [
                _LOAD,
                {'type': 'Resize', 'scale': SIDE},
                {'type': 'PackInputs'},
            ],
        },
    }
    evaluators: dict[str, dict[str, Any]] = {
        'mmdet': {'type': 'CocoMetric', 'ann_file': f'{root}/coco.json'},
        'mmseg': {'type': 'IoUMetric', 'iou_metrics': ['mIoU']},
        'mmpretrain': {'type': 'Accuracy', 'topk': (1,)},
    }
    return {
        'test_dataloader': {
            'batch_size': 2,
            'num_workers': 0,
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'dataset': {**known[library], 'data_root': root},
        },
        'test_evaluator': evaluators[library],
        'test_cfg': {'type': 'TestLoop'},
    }


def write_images(root: Path) -> None:
    """Write images with a square of a class's brightness, and all their annotations."""
    draws = np.random.default_rng(0)
    for name in ('images', 'labels'):
        (root / name).mkdir(parents=True)
    annotations, lines = [], []
    for index in range(IMAGES):
        label, left = index % len(CLASSES), 8 * index
        picture = draws.integers(0, 60, (SIDE, SIDE + 16, 3), dtype=np.uint8)
        picture[16:48, left : left + 32] += np.uint8(60 * label + 40)
        labels = np.zeros(picture.shape[:2], np.uint8)
        labels[16:48, left : left + 32] = label
        Image.fromarray(picture).save(root / f'images/{index}.png')
        Image.fromarray(labels).save(root / f'labels/{index}.png')
        lines.append(f'{index}.png {label}\n')
        box = {'id': index, 'image_id': index, 'category_id': label, 'iscrowd': 0}
        annotations.append({**box, 'bbox': [left, 16, 32, 32], 'area': 1024})
    size = {'width': SIDE + 16, 'height': SIDE}
    coco = {
        'images': [{'id': i, 'file_name': f'{i}.png', **size} for i in range(IMAGES)],
        'categories': [{'id': i, 'name': name} for i, name in enumerate(CLASSES)],
        'annotations': annotations,
    }
    (root / 'coco.json').write_text(json.dumps(coco))
    (root / 'list.txt').write_text(''.join(lines))


def write_model(folder: Path, library: str, data: Path, seed: int = 0) -> Path:
    """Write config and checkpoint of a model with random weights, as a run leaves them.

    Args:
        folder: Of the run.
        library: 'mmdet', 'mmseg' or 'mmpretrain'.
        data: What :func:`write_images` wrote.
        seed: Of the weights.

    Returns:
        Path: The folder.
    """
    kinds = {'mmdet': _detector, 'mmseg': _segmentor, 'mmpretrain': _classifier}
    visualizers = {
        'mmdet': 'DetLocalVisualizer',
        'mmseg': 'SegLocalVisualizer',
        'mmpretrain': 'UniversalVisualizer',
    }
    model = kinds[library]()
    cfg = Config(
        {
            'default_scope': library,
            'model': model,
            'visualizer': {'type': visualizers[library], 'vis_backends': []},
            **_data(library, str(data)),
        }
    )
    folder.mkdir(parents=True)
    cfg.dump(str(folder / 'config.py'))
    init_default_scope(library)
    torch.manual_seed(seed)  # torch's own initial weights do; none are logged
    built = MODELS.build(cfg.model)
    meta = {'epoch': 1, 'dataset_meta': {'classes': CLASSES, 'palette': [[0] * 3] * 3}}
    path = folder / 'epoch_1.pth'
    torch.save({'state_dict': built.state_dict(), 'meta': meta}, path)
    (folder / 'last_checkpoint').write_text(str(path))
    return folder
