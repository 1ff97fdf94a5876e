"""How a box can lie in its image."""

from __future__ import annotations

from collections.abc import Sequence

from dropblock_mm.data_checks.annotations.coco_values import is_number

# COCO's own boxes leave their image by fractions of a pixel.
_TOLERANCE = 1.0


def is_box(values: object) -> bool:
    """Tell whether these are four finite numbers."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        return False
    return len(values) == 4 and all(map(is_number, values))


def is_outside(corners: Sequence[float], width: float, height: float) -> bool:
    """Tell whether a box (x1, y1, x2, y2) has no part in its image."""
    x1, y1, x2, y2 = corners
    return x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height


def sticks_out(corners: Sequence[float], width: float, height: float) -> bool:
    """Tell whether it leaves its image by more than a pixel."""
    x1, y1, x2, y2 = corners
    low, high = min(x1, y1), max(x2 - width, y2 - height)
    return low < -_TOLERANCE or high > _TOLERANCE
