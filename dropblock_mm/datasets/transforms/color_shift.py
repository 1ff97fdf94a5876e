"""Shifts of brightness and chroma, as AmoebaNet was trained with."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.registry import TRANSFORMS

# What a unit of brightness, Cb and Cr adds to blue, green and red (ITU-R BT.601).
_TO_BGR = np.array(
    [
        [1.0, 1.772, 0.0],
        [1.0, -0.344136, -0.714136],
        [1.0, 0.0, 1.402],
    ]
)


@TRANSFORMS.register_module()
class ColorShift(BaseTransform):
    """Add the same colour, drawn for each image, to all of its pixels.

    ``distort_color_fast`` of the authors' inception_preprocessing.py: brightness, Cb
    and Cr are shifted by amounts that are uniform between plus and minus the ranges.
    OpenMMLab's transforms multiply instead.

    Args:
        brightness: Range of the brightness, of 255.
        chroma: Range of Cb and of Cr, of 255; theirs is a tenth.

    Raises:
        ValueError: If a range is negative.
    """

    def __init__(self, brightness: float = 32.0, chroma: float = 25.5) -> None:
        for name, value in (('brightness', brightness), ('chroma', chroma)):
            if not 0 <= value <= 255:
                raise RefusedValueError(
                    f'{name}={value!r} of ColorShift is not in [0, 255].'
                )
        self.ranges = np.array([brightness, chroma, chroma])

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Shift ``img``, an array[H, W, 3] of bytes in the order BGR."""
        shift = _TO_BGR @ np.random.uniform(-self.ranges, self.ranges)
        shifted = np.rint(results['img'] + shift)
        results['img'] = np.clip(shifted, 0, 255).astype(np.uint8)
        return results

    def __repr__(self) -> str:
        brightness, chroma, _ = self.ranges.tolist()
        return f'ColorShift(brightness={brightness}, chroma={chroma})'
