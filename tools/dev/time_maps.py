"""Compare the processor time of an activation map with that of a prediction.

Usage::

    python -m tools.dev.time_maps [CONFIG ...] [--size W H] [--pairs N] [--region SHARE]

The models are stock ones with random weights, all boxes kept, on an image of noise. In
each pair an image is predicted without gradients, and then predicted and explained; the
ratio is the median of the pairs'. A segmentor's class is explained in a box of so large
a share of the image as --region says. One thread is used. Without configs some of each
library are taken.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

from dropblock_mm import runs
from dropblock_mm.analysis.activation_maps.explain import explain
from dropblock_mm.analysis.activation_maps.explanation import batch_of
from dropblock_mm.analysis.sites.stock_models import WEIGHTS, without
from dropblock_mm.analysis.trained.images import own_example, user_pipeline
from dropblock_mm.analysis.trained.models import ModelFiles, TrainedModel
from dropblock_mm.analysis.trained.truth import Truth
from dropblock_mm.runs.nested_datasets import innermost

LIMIT = 1.5  # predictions that a map may cost
CONFIGS = (
    'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
    'mmdet::cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco.py',
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py',
    'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
    'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb4-20k_voc12aug-512x512.py',
    'mmseg::upernet/upernet_r50_4xb4-20k_voc12aug-512x512.py',
    'mmpretrain::resnet/resnet50_8xb32_in1k.py',
)


def stock_model(name: str, size: tuple[int, int]) -> TrainedModel:
    """Return a stock model with random weights that resizes to a size, W and H."""
    cfg = runs.load_config(name, {})
    runs.prepare_library(cfg)
    init_default_scope(cfg.default_scope)
    _resize_to(size, next(innermost(cfg.test_dataloader)).pipeline)
    _keep_all_boxes(cfg.model.get('test_cfg') or {})
    torch.manual_seed(0)
    model = MODELS.build(Config(without(cfg.model.to_dict(), WEIGHTS))._cfg_dict)
    logging.disable(logging.INFO)  # of every parameter
    model.init_weights()
    logging.disable(logging.NOTSET)
    _give_boxes_a_size(model)
    files = ModelFiles('stock', name, '')
    return TrainedModel(files, cfg, model.eval(), runs.library_of(cfg), ())


def _give_boxes_a_size(model: torch.nn.Module) -> None:
    """Random sides of RTMDet's boxes may be below 0, and such boxes are dropped."""
    for name, parameter in model.named_parameters():
        if 'rtm_reg' in name and name.endswith('bias'):
            parameter.data.fill_(1)


def _resize_to(size: tuple[int, int], steps: list[Any]) -> None:
    for step in steps:
        if step['type'] in ('Resize', 'ResizeEdge') and isinstance(
            step.get('scale'), tuple
        ):
            step['scale'] = size
        for branch in step.get('transforms', []):
            _resize_to(size, branch if isinstance(branch, list) else [branch])


def _keep_all_boxes(part: Any) -> None:
    for key, value in part.items():
        if key in ('score_thr', 'conf_thr'):
            part[key] = 0.0
        elif isinstance(value, dict):
            _keep_all_boxes(value)


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def box_in(size: tuple[int, int], share: float) -> np.ndarray:
    """Return BoolArray[H, W] of an image of W x H, with a box in the middle."""
    region = np.zeros(size[::-1], dtype=bool)
    cut = [round(length * (1 - share**0.5) / 2) for length in region.shape]
    region[tuple(slice(c, n - c) for c, n in zip(cut, region.shape, strict=True))] = (
        True
    )
    return region


def measure(
    trained: TrainedModel, photo: Path, pairs: int, region: np.ndarray
) -> tuple[float, float]:
    """Return the seconds of a prediction, and the ratio of a map's to it."""
    target = Truth(1, region=region) if trained.library == 'mmseg' else None
    example = own_example(user_pipeline(trained), photo)
    model: Any = trained.model

    def predict() -> None:
        with torch.no_grad():
            model(**batch_of(trained, example), mode='predict')

    def make_map() -> None:
        explain(trained, example, target)

    predict()
    make_map()
    times = [(seconds(predict), seconds(make_map)) for _ in range(pairs)]
    ratio = statistics.median(with_map / plain for plain, with_map in times)
    return statistics.median(plain for plain, _ in times), ratio


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if one takes more than it may."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('configs', nargs='*', metavar='CONFIG', default=CONFIGS)
    parser.add_argument(
        '--size', nargs=2, type=int, default=(256, 160), help='W and H (256 160)'
    )
    parser.add_argument('--pairs', type=int, default=5, help='of each model (5)')
    parser.add_argument(
        '--region', type=float, default=0.25, help='of the image (0.25)'
    )
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder, 'photo.png')
        pixels = np.random.default_rng(0).integers(0, 256, (14, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize(tuple(args.size)).save(photo)
        for name in args.configs:
            trained = stock_model(name, tuple(args.size))
            region = box_in(tuple(args.size), args.region)
            plain, ratio = measure(trained, photo, args.pairs, region)
            ratios.append(ratio)
            print(f'{ratio:5.2f} of {plain:6.3f} s  {name}', flush=True)
    return int(max(ratios) > LIMIT)


if __name__ == '__main__':
    raise SystemExit(main())
