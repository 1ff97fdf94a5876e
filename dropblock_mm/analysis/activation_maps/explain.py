"""What is explained: a classifier's class, a detector's box, a segmentor's class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dropblock_mm.analysis.activation_maps.cam import (
    class_activation_map,
    grad_cam,
    watching,
)
from dropblock_mm.analysis.figures.detections import iou
from dropblock_mm.analysis.trained.images import Example
from dropblock_mm.analysis.trained.models import TrainedModel, find_layer
from dropblock_mm.analysis.trained.truth import Box, Truth
from dropblock_mm.errors import RefusedValueError

MATCH_IOU = 0.5


@dataclass(frozen=True)
class Explanation:
    """Where a model looks for a target in an image.

    Args:
        activation: FloatArray[h, w], at least 0, at the layer's resolution.
        target: What was explained.
        right: Whether the model found it; None if the truth is not known.
        score: Of the model for it.
        box: The model's own box, in pixels of the image.
    """

    activation: np.ndarray
    target: Truth
    right: bool | None
    score: float
    box: Box | None = None


def explain(
    trained: TrainedModel,
    example: Example,
    target: Truth | None = None,
    layer: str | None = None,
) -> Explanation | None:
    """Return where a model looks.

    Args:
        trained: The model.
        example: The image.
        target: What to explain; the truth if None, or else the surest prediction.
        layer: Path of the module whose maps are weighted; see :func:`usual_layer`.

    Returns:
        Explanation: None if nothing was found, where the surest was asked for.
    """
    target = target or example.truth
    ways = {'mmdet': _of_box, 'mmseg': _of_region}
    explain_this = ways.get(trained.library, _of_class)
    return explain_this(trained, example, target, layer or usual_layer(trained))


def usual_layer(trained: TrainedModel) -> str:
    """Return the layer that is usually looked at.

    It is the last stage of a classifier's backbone, as in the paper. A detector's box
    comes from a level of its neck, if it has one: what is small is no longer told apart
    in the last stage.
    """
    has_levels = trained.library in ('mmdet', 'mmseg')
    has_neck = getattr(trained.model, 'neck', None) is not None
    return 'neck' if has_levels and has_neck else 'backbone'


def _batch(trained: TrainedModel, example: Example) -> dict[str, Any]:
    item = example.item
    data = {key: [value] for key, value in item.items()}
    model: Any = trained.model
    return model.data_preprocessor(data, False)


def _of_class(
    trained: TrainedModel, example: Example, target: Truth | None, layer: str
) -> Explanation:
    model: Any = trained.model
    fc = _plain_classifier(model) if layer == 'backbone' else None
    module, batch = find_layer(model, layer), _batch(trained, example)
    with watching(model, module, with_gradient=fc is None) as watched:
        logits = _logits(model, batch)[0]
        found = int(logits.argmax())
        label = found if target is None else target.label
        _check_label(label, len(logits))
        maps = watched.found(layer)
        if fc is not None:
            activation = class_activation_map(maps[-1][0], fc.weight[label])
        else:
            activation = grad_cam(maps, logits[label])
    score = logits.softmax(0)[label].item()
    right = None if example.truth is None else found == label
    return Explanation(_array(activation), Truth(label), right, score)


def _check_label(label: int, number: int) -> None:
    if label >= number:
        raise RefusedValueError(
            f'class {label} is asked for, and the model has {number}. Compare models '
            'of the same classes.'
        )


def _logits(model: Any, batch: dict[str, Any]) -> Tensor:
    out = model(batch['inputs'], mode='tensor')
    if isinstance(out, (tuple, list)):
        out = out[-1]
    if not isinstance(out, Tensor) or out.dim() != 2:
        raise RefusedValueError(
            f'{type(model).__name__} gives no logits (N, classes), so that no class '
            'can be explained. Activation maps serve classifiers, detectors and '
            'segmentors.'
        )
    return out


def _plain_classifier(model: Any) -> nn.Linear | None:
    """Return the linear layer right behind global average pooling, if that is all."""
    head, neck = getattr(model, 'head', None), getattr(model, 'neck', None)
    fc = getattr(head, 'fc', None)
    pooled = type(neck).__name__ == 'GlobalAveragePooling'
    is_all = type(head).__name__ == 'LinearClsHead'
    return fc if pooled and is_all and isinstance(fc, nn.Linear) else None


def _of_box(
    trained: TrainedModel, example: Example, target: Truth | None, layer: str
) -> Explanation | None:
    model: Any = trained.model
    module, batch = find_layer(model, layer), _batch(trained, example)
    with watching(model, module, True, through_detach=True) as watched:
        found = model(**batch, mode='predict')[0].pred_instances
        index = _box_to_explain(found, target)
        maps = watched.found(layer)
        if index is None:
            return None if target is None else _not_found(maps, target)
        activation = grad_cam(maps, found.scores[index])
    left, top, right, bottom = found.bboxes[index].tolist()
    return Explanation(
        _array(activation),
        target or Truth(int(found.labels[index]), (left, top, right, bottom)),
        None if example.truth is None else True,
        found.scores[index].item(),
        (left, top, right, bottom),
    )


def _box_to_explain(found: Any, target: Truth | None) -> int | None:
    """Return the surest box that is of the target's class and lies where it does."""
    order = found.scores.argsort(descending=True).tolist()
    for index in order:
        if target is None:
            return index
        same = int(found.labels[index]) == target.label
        box = found.bboxes[index].tolist()
        near = target.box is None or _overlap(box, target.box) >= MATCH_IOU
        if same and near:
            return index
    return None


def _overlap(a: Any, b: Any) -> float:
    """Return intersection over union of boxes given by two corners."""
    return iou(*((x, y, r - x, bottom - y) for x, y, r, bottom in (a, b)))


def _of_region(
    trained: TrainedModel, example: Example, target: Truth | None, layer: str
) -> Explanation | None:
    model: Any = trained.model
    module, batch = find_layer(model, layer), _batch(trained, example)
    with watching(model, module, with_gradient=True) as watched:
        found = model(**batch, mode='predict')[0]
        logits, labels = found.seg_logits.data, found.pred_sem_seg.data[0]
        label = _commonest(labels) if target is None else target.label
        maps = watched.found(layer)
        predicted = (labels == label).cpu().numpy()
        known = None if target is None else target.region
        region = known if known is not None else predicted
        if region.shape != predicted.shape or not region.any():
            return None if target is None else _not_found(maps, target)
        _check_label(label, max(len(logits), 2))
        # A single map of logits is that of class 1.
        scores = logits[min(label, len(logits) - 1)][torch.from_numpy(region)]
        activation = grad_cam(maps, scores.mean())
    union = (predicted | region).sum()
    right = None if known is None else bool((predicted & region).sum() / union >= 0.5)
    return Explanation(
        _array(activation),
        target or Truth(label, region=predicted),
        right,
        float(predicted.mean()),
    )


def _commonest(labels: Tensor) -> int:
    counts = torch.bincount(labels.flatten())
    if counts[1:].any():
        counts[0] = 0
    return int(counts.argmax())


def _not_found(maps: Sequence[Tensor], target: Truth) -> Explanation:
    return Explanation(np.zeros(tuple(maps[-1].shape[2:])), target, False, 0.0)


def _array(activation: Tensor) -> np.ndarray:
    return activation.detach().float().cpu().numpy()
