"""Where a classifier looks for a class."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dropblock_mm.analysis.activation_maps.cam import (
    class_activation_map,
    grad_cam,
    watching,
)
from dropblock_mm.analysis.activation_maps.explanation import (
    Explanation,
    Method,
    as_array,
    batch_of,
    check_label,
)
from dropblock_mm.analysis.activation_maps.tokens import last_attended
from dropblock_mm.analysis.trained.images import Example
from dropblock_mm.analysis.trained.models import TrainedModel, find_layer
from dropblock_mm.analysis.trained.truth import Truth
from dropblock_mm.errors import RefusedValueError


def explain_class(
    trained: TrainedModel,
    example: Example,
    target: Truth | None,
    layer: str,
    method: Method | None = None,
) -> Explanation:
    """Return the map of a class, of the surest one if there is no target.

    It is CAM where pooling and one linear layer follow the layer, and else, or if that
    is asked for, Grad-CAM.
    """
    model: Any = trained.model
    fc = _plain_classifier(model) if layer == 'backbone' and not method else None
    module, batch = find_layer(model, layer), batch_of(trained, example)
    with watching(model, module, with_gradient=fc is None) as watched:
        logits = _logits(model, batch)[0]
        found = int(logits.argmax())
        label = found if target is None else target.label
        check_label(label, len(logits))
        maps = watched.found(layer)
        if fc is not None:
            activation = class_activation_map(maps[-1][0], fc.weight[label])
        else:
            activation = (method or grad_cam)(maps, logits[label])
    score = logits.softmax(0)[label].item()
    right = None if example.truth is None else found == label
    return Explanation(as_array(activation), Truth(label), right, score)


def last_layer(trained: TrainedModel, example: Example) -> str:
    """Return the last layer of a backbone that has a map of an image.

    It is what the last block of a transformer attends to, the backbone, or the last of
    its modules that gives a map, where the backbone hands on a vector.
    """
    model: Any = trained.model
    backbone = getattr(model, 'backbone', None)
    if backbone is None:
        return 'backbone'  # which is refused, with the names of what there is
    attended = last_attended(backbone)
    if attended is not None:
        return f'backbone.{attended}'
    with watching(model, backbone, with_gradient=False) as watched:
        backbone(batch_of(trained, example)['inputs'])
    if watched.maps or watched.last is None:
        return 'backbone'
    return f'backbone.{watched.last}'


def _logits(model: Any, batch: dict[str, Any]) -> Tensor:
    """Return what a prediction takes the softmax of, Tensor[1, classes]."""
    out = model(batch['inputs'], mode='tensor')
    if isinstance(out, (tuple, list)):
        several = len({getattr(part, 'shape', None) for part in out}) == 1
        # Conformer has a classifier for its maps and one for its tokens.
        out = sum(out) if several and len(out) > 1 else out[-1]
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
