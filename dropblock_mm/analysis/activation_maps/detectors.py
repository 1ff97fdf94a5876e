"""Where a detector looks for a box."""

from __future__ import annotations

from typing import Any

from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
from torch import nn

from dropblock_mm.analysis.activation_maps.by_rows import aligned_by_rows
from dropblock_mm.analysis.activation_maps.cam import hires_cam, watching
from dropblock_mm.analysis.activation_maps.explanation import (
    Explanation,
    Method,
    as_array,
    batch_of,
    not_found,
)
from dropblock_mm.analysis.figures.detections import iou
from dropblock_mm.analysis.trained.images import Example
from dropblock_mm.analysis.trained.models import TrainedModel, find_layer
from dropblock_mm.analysis.trained.truth import Truth
from dropblock_mm.errors import RefusedValueError

MATCH_IOU = 0.5


def explain_box(
    trained: TrainedModel,
    example: Example,
    target: Truth | None,
    layer: str,
    method: Method | None = None,
) -> Explanation | None:
    """Return the map of the surest box of the target's class that lies where it does.

    It is HiResCAM, unless Grad-CAM is asked for: a box depends on its surroundings
    alone, of which the mean gradient over the map tells nothing.
    """
    model: Any = trained.model
    module, batch = find_layer(model, layer), batch_of(trained, example)
    aligned = aligned_by_rows(_region_layers(model))
    with aligned, watching(model, module, True, through_detach=True) as watched:
        found = _predicted(model, batch)
        index = _box_to_explain(found, target)
        maps = watched.found(layer)
        if index is None:
            return None if target is None else not_found(maps, target)
        activation = (method or hires_cam)(maps, found.scores[index])
    left, top, right, bottom = found.bboxes[index].tolist()
    return Explanation(
        as_array(activation),
        target or Truth(int(found.labels[index]), (left, top, right, bottom)),
        None if example.truth is None else True,
        found.scores[index].item(),
        (left, top, right, bottom),
    )


def _region_layers(model: nn.Module) -> list[nn.Module]:
    """Return what cuts regions out of the levels of a pyramid."""
    extractors = [m for m in model.modules() if isinstance(m, BaseRoIExtractor)]
    return [layer for extractor in extractors for layer in extractor.roi_layers]


def _predicted(model: Any, batch: dict[str, Any]) -> Any:
    found = getattr(model(**batch, mode='predict')[0], 'pred_instances', None)
    if found is None or any(key not in found for key in ('scores', 'labels', 'bboxes')):
        raise RefusedValueError(
            f'{type(model).__name__} predicts no boxes with classes and scores, so '
            'that none can be explained. Activation maps serve classifiers, detectors '
            'and segmentors.'
        )
    return found


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
