"""What an explanation is, and what models of every library need for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from dropblock_mm.analysis.activation_maps.cam import grad_cam, hires_cam
from dropblock_mm.analysis.trained.images import Example
from dropblock_mm.analysis.trained.models import TrainedModel
from dropblock_mm.analysis.trained.truth import Box, Truth
from dropblock_mm.errors import RefusedValueError

Method = Callable[[Sequence[Tensor], Tensor], Tensor]
METHODS: dict[str, Method] = {'grad-cam': grad_cam, 'hires-cam': hires_cam}


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


def batch_of(trained: TrainedModel, example: Example) -> dict[str, Any]:
    """Return an image as the model takes it."""
    data = {key: [value] for key, value in example.item.items()}
    model: Any = trained.model
    return model.data_preprocessor(data, False)


def check_label(label: int, number: int) -> None:
    """Refuse a class that the model does not have.

    Raises:
        RefusedValueError: With how many it has.
    """
    if label >= number:
        raise RefusedValueError(
            f'class {label} is asked for, and the model has {number}. Compare models '
            'of the same classes.'
        )


def not_found(maps: Sequence[Tensor], target: Truth) -> Explanation:
    """Return what is said of a target that the model did not find."""
    return Explanation(np.zeros(tuple(maps[-1].shape[2:])), target, False, 0.0)


def as_array(activation: Tensor) -> np.ndarray:
    """Return FloatArray[h, w] of Tensor[h, w]."""
    return activation.detach().float().cpu().numpy()
