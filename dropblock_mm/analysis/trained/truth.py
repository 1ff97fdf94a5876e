"""What is to be found in an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class Truth:
    """What is to be found in an image.

    Args:
        label: Number of the class.
        box: Of an object, where there are boxes.
        region: BoolArray[H, W] of its pixels, where there is a label map.
    """

    label: int
    box: Box | None = None
    region: np.ndarray | None = None
