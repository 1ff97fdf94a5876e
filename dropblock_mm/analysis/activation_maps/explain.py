"""What is explained: a classifier's class, a detector's box, a segmentor's class."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

from dropblock_mm.analysis.activation_maps.explanation import (
    METHODS,
    Explanation,
)
from dropblock_mm.analysis.trained.images import Example
from dropblock_mm.analysis.trained.models import TrainedModel
from dropblock_mm.analysis.trained.truth import Truth

# A pass of the model tells a classifier's layer, which is the same in every image.
_KNOWN: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()


def explain(
    trained: TrainedModel,
    example: Example,
    target: Truth | None = None,
    layer: str | None = None,
    method: str | None = None,
) -> Explanation | None:
    """Return where a model looks.

    Args:
        trained: The model.
        example: The image.
        target: What to explain; the truth if None, or else the surest prediction.
        layer: Path of the module whose maps are weighted; see :func:`usual_layer`.
        method: 'grad-cam' or 'hires-cam'; what serves such a model if None.

    Returns:
        Explanation: None if nothing was found, where the surest was asked for.
    """
    target, layer = target or example.truth, layer or usual_layer(trained, example)
    weigh = METHODS[method] if method else None
    # Each in its own case: a machine need not have all three libraries.
    if trained.library == 'mmdet':
        from dropblock_mm.analysis.activation_maps.detectors import explain_box

        return explain_box(trained, example, target, layer, weigh)
    if trained.library == 'mmseg':
        from dropblock_mm.analysis.activation_maps.segmentors import explain_region

        return explain_region(trained, example, target, layer, weigh)
    from dropblock_mm.analysis.activation_maps.classifiers import explain_class

    return explain_class(trained, example, target, layer, weigh)


def usual_layer(trained: TrainedModel, example: Example) -> str:
    """Return the layer that is usually looked at.

    It is the last stage of a classifier's backbone, as in the paper, or what the last
    block of a transformer attends to; where a backbone hands on a vector, the last of
    its modules that gives a map of the example. A detector's box comes from a level of
    its neck, if it has one: what is small is no longer told apart in the last stage.
    """
    model: Any = trained.model
    if trained.library in ('mmdet', 'mmseg'):
        return 'backbone' if getattr(model, 'neck', None) is None else 'neck'
    from dropblock_mm.analysis.activation_maps.classifiers import last_layer

    if model not in _KNOWN:
        _KNOWN[model] = last_layer(trained, example)
    return _KNOWN[model]
