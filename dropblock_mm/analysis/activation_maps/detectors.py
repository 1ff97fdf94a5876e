"""Where a detector looks for a box."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.models.detectors.panoptic_two_stage_segmentor import (
    TwoStagePanopticSegmentor,
)
from mmdet.models.roi_heads.bbox_heads import (
    BBoxHead,
    ConvFCBBoxHead,
    DoubleConvFCBBoxHead,
)
from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
from mmdet.models.roi_heads.shared_heads import ResLayer
from mmdet.structures.mask import mask2bbox
from torch import nn

from dropblock_mm.analysis.activation_maps.back import region_by_region, stop_at_zero
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
# A region is none of the others' business in these; DIIHead, say, mixes them.
_ONE_BY_ONE = {
    kind.forward for kind in (BBoxHead, ConvFCBBoxHead, DoubleConvFCBBoxHead, ResLayer)
}


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
    with (
        _short_way_back(model),
        watching(model, module, True, through_detach=True) as watched,
    ):
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


@contextmanager
def _short_way_back(model: nn.Module) -> Iterator[None]:
    """Around a pass: a box leads back through its region, and its level, alone."""
    parts = list(model.modules())
    heads = [part for part in parts if type(part).forward in _ONE_BY_ONE]
    extractors = [part for part in parts if isinstance(part, BaseRoIExtractor)]
    handles = [
        part.register_forward_hook(stop_at_zero)
        for part in parts
        if isinstance(part, BaseDenseHead)
    ]
    try:
        with region_by_region(heads, extractors):
            yield
    finally:
        for handle in handles:
            handle.remove()


def _predicted(model: Any, batch: dict[str, Any]) -> Any:
    with _before_fusion(model) as instances:
        found = getattr(model(**batch, mode='predict')[0], 'pred_instances', None)
    found = instances[0] if instances else found
    if found is None or any(key not in found for key in ('scores', 'labels', 'bboxes')):
        raise RefusedValueError(
            f'{type(model).__name__} predicts no boxes with classes and scores, so '
            f'that none can be explained. {_instead(model)}'
        )
    if 'masks' in found and not found.bboxes.any():  # SOLO's, which has masks alone
        found.bboxes = mask2bbox(found.masks).to(found.bboxes)
    return found


@contextmanager
def _before_fusion(model: Any) -> Iterator[list[Any]]:
    """Around a pass: keep what a panoptic model's detector found, here alone to see.

    Its prediction has an area for each object, without a score.
    """
    kept: list[Any] = []
    if not isinstance(model, TwoStagePanopticSegmentor):
        yield kept
        return
    head = model.panoptic_fusion_head
    fuse = head.predict

    def keep(instances: list[Any], *args: Any, **kwargs: Any) -> Any:
        kept.extend(instances)
        return fuse(instances, *args, **kwargs)

    head.predict = keep
    try:
        yield kept
    finally:
        del head.predict  # its own, in front of the class's


def _instead(model: Any) -> str:
    """Return what to do about a model without boxes."""
    fusion = getattr(model, 'panoptic_fusion_head', None)
    if 'instance_on' in (getattr(fusion, 'test_cfg', None) or {}):
        return 'Have it do: --cfg-options model.test_cfg.instance_on=True.'
    return 'Activation maps serve classifiers, detectors and segmentors.'


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
