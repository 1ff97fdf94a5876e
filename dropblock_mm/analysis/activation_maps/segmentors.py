"""Where a segmentor looks for the pixels of a class."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.segmentors import EncoderDecoder
from torch import Tensor, nn

from dropblock_mm.analysis.activation_maps.cam import grad_cam, watching
from dropblock_mm.analysis.activation_maps.cells import WhereItCounts, on_grid
from dropblock_mm.analysis.activation_maps.explanation import (
    Explanation,
    Method,
    as_array,
    batch_of,
    check_label,
    not_found,
)
from dropblock_mm.analysis.trained.images import Example
from dropblock_mm.analysis.trained.models import TrainedModel, find_layer
from dropblock_mm.analysis.trained.truth import Truth

ENOUGH = 2  # rows of logits, and columns, for each of the layer's maps


def explain_region(
    trained: TrainedModel,
    example: Example,
    target: Truth | None,
    layer: str,
    method: Method | None = None,
) -> Explanation | None:
    """Return the map of a class's mean logit over the target's pixels.

    Without a target, or for one without pixels, they are those that the model gives
    the class. The image is looked at in one pass, by models that slide a window too.
    Where the head's logits are much finer than the layer's maps, some of their rows and
    columns stand for all: the mean of many hardly changes, and the way back is shorter.
    """
    model: Any = trained.model
    module, batch = find_layer(model, layer), batch_of(trained, example)
    with watching(model, module, with_gradient=True) as watched:
        labels, number, mean_of = _predicted(model, batch)
        label = _commonest(labels) if target is None else target.label
        maps = watched.found(layer)
        predicted = (labels == label).cpu().numpy()
        known = None if target is None else target.region
        region = known if known is not None else predicted
        if region.shape != predicted.shape or not region.any():
            return None if target is None else not_found(maps, target)
        check_label(label, max(number, 2))
        # A single map of logits is that of class 1.
        share = torch.from_numpy(region / region.sum()).to(maps[-1])
        score = mean_of(min(label, number - 1), share, maps[-1])
        activation = (method or grad_cam)(maps, score)
    union = (predicted | region).sum()
    right = None if known is None else bool((predicted & region).sum() / union >= 0.5)
    return Explanation(
        as_array(activation),
        target or Truth(label, region=predicted),
        right,
        float(predicted.mean()),
    )


Predicted = tuple[Tensor, int, Callable[[int, Tensor, Tensor], Tensor]]


def _predicted(model: Any, batch: dict[str, Any]) -> Predicted:
    """Return labels Tensor[H, W], how many maps of logits, and what sums up one.

    That takes the map's number, the share of each pixel, Tensor[H, W], and the layer's
    map.
    """
    if _enlarges_logits_alone(model):
        return _predicted_small(model, batch)
    sliding = model.test_cfg
    try:
        model.test_cfg = copy.copy(sliding)
        model.test_cfg['mode'] = 'whole'
        found = model(**batch, mode='predict')[0]
    finally:
        model.test_cfg = sliding
    logits = found.seg_logits.data

    def mean_of(index: int, share: Tensor, _: Tensor) -> Tensor:
        return (logits[index] * share).sum()

    return found.pred_sem_seg.data[0], len(logits), mean_of


def _enlarges_logits_alone(model: Any) -> bool:
    """Whether a prediction is the head's output at the size of the image."""
    own, head = type(model), type(getattr(model, 'decode_head', None))
    plain = (own, EncoderDecoder, ('_forward', 'predict', 'encode_decode'))
    plain_head = (head, BaseDecodeHead, ('predict', 'predict_by_feat'))
    return all(
        issubclass(kind, base)
        and all(getattr(kind, name) is getattr(base, name) for name in names)
        for kind, base, names in (plain, plain_head)
    )


def _predicted_small(model: Any, batch: dict[str, Any]) -> Predicted:
    """Do as a prediction does, and keep no graph of all classes at full size.

    Going back through the enlarged maps of all classes would cost as much as the
    decode head.
    """
    with WhereItCounts():
        small = model(batch['inputs'], mode='tensor')
    (sample,) = batch['data_samples']
    predict_by_feat = model.decode_head.predict_by_feat
    with torch.no_grad():
        whole = predict_by_feat(small, [sample.metainfo])
        found = model.postprocess_result(whole, [copy.copy(sample)])[0]

    def mean_of(index: int, share: Tensor, map_: Tensor) -> Tensor:
        logits = small[:, index : index + 1]
        # The image's logits are sums of these: how much of each is in the mean?
        cells = torch.zeros_like(logits, requires_grad=True)
        image = _as_image(
            predict_by_feat(cells, [sample.metainfo]),
            sample.metainfo,
            model.align_corners,
        )
        (shares,) = torch.autograd.grad(image[0, 0], cells, share)
        finer = min(np.floor_divide(logits.shape[2:], map_.shape[2:]))
        step = max(int(finer) // ENOUGH, 1)
        return (logits * on_grid(shares, step)).sum()

    return found.pred_sem_seg.data[0], small.shape[1], mean_of


def _as_image(maps: Tensor, meta: dict[str, Any], align_corners: bool) -> Tensor:
    """Bring maps to the image's size, as the model's ``postprocess_result`` does.

    That would go through a sigmoid, if given one map.

    Args:
        maps: Tensor[1, C, H, W], of the size of the padded input.
        meta: Of the image.
        align_corners: As the model resizes.
    """
    left, right, top, bottom = meta.get(
        'img_padding_size', meta.get('padding_size', [0] * 4)
    )
    height, width = maps.shape[2:]
    maps = maps[:, :, top : height - bottom, left : width - right]
    if meta.get('flip'):
        maps = maps.flip(dims=(3 if meta['flip_direction'] == 'horizontal' else 2,))
    size = tuple(meta['ori_shape'])
    if tuple(maps.shape[2:]) == size:
        return maps
    return nn.functional.interpolate(
        maps, size, mode='bilinear', align_corners=align_corners
    )


def _commonest(labels: Tensor) -> int:
    counts = torch.bincount(labels.flatten().long())
    if counts[1:].any():
        counts[0] = 0
    return int(counts.argmax())
