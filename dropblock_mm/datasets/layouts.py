"""The two layouts of the same scenes: COCO dictionaries and VOC label maps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

DIGIT_CLASSES = tuple('0123456789')
VOC_BORDER = 255


def coco_categories() -> list[dict[str, Any]]:
    """Return COCO's list of categories: ids 1..10, named '0'..'9'."""
    return [
        {'id': label + 1, 'name': name, 'supercategory': 'digit'}
        for label, name in enumerate(DIGIT_CLASSES)
    ]


def coco_annotation(
    mask: np.ndarray, *, annotation_id: int, image_id: int, label: int, digit: int
) -> dict[str, Any]:
    """Describe one digit as COCO does.

    Args:
        mask: BoolArray[H, W], its visible pixels, at least one.
        annotation_id: Unique in the file.
        image_id: The scene's.
        label: Class in 0..9.
        digit: Index of the handwritten digit in scikit-learn's ``load_digits``.

    Returns:
        An annotation whose box, area and run-length mask say the same.
    """
    rows, columns = np.nonzero(mask)
    left, top = int(columns.min()), int(rows.min())
    width = int(columns.max()) - left + 1
    height = int(rows.max()) - top + 1
    return {
        'id': annotation_id,
        'image_id': image_id,
        'category_id': label + 1,
        'bbox': [left, top, width, height],
        'area': len(rows),
        'segmentation': {'size': list(mask.shape), 'counts': run_lengths(mask)},
        'iscrowd': 0,
        'digit_index': digit,
    }


def run_lengths(mask: np.ndarray) -> list[int]:
    """Return COCO's uncompressed run lengths of a mask.

    Runs go down the columns, and alternate from a (possibly empty) run of zeros.

    Args:
        mask: BoolArray[H, W].

    Examples:
        >>> run_lengths(np.array([[True, False], [True, True]]))
        [0, 2, 1, 1]
    """
    flat = mask.ravel(order='F')
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges = np.concatenate(([0], changes, [flat.size]))
    lengths = np.diff(edges).tolist()
    return [0, *lengths] if flat[0] else lengths


def voc_label_map(masks: np.ndarray, labels: Iterable[int]) -> np.ndarray:
    """Draw the segmentation as VOC does.

    Args:
        masks: BoolArray[K, H, W], disjoint.
        labels: Class in 0..9 of each.

    Returns:
        UInt8Array[H, W]: 0 for the background, 1..10 for the digits, 255 for the
        background pixels that touch one, which evaluation ignores.
    """
    label_map = np.zeros(masks.shape[1:], dtype=np.uint8)
    label_map[dilate(np.any(masks, axis=0))] = VOC_BORDER
    for mask, label in zip(masks, labels, strict=True):
        label_map[mask] = label + 1
    return label_map


def dilate(mask: np.ndarray) -> np.ndarray:
    """Grow a BoolArray[H, W] by one pixel in all eight directions."""
    padded = np.pad(mask, 1)
    grown = np.zeros_like(mask)
    for top in range(3):
        for left in range(3):
            grown |= padded[top : top + mask.shape[0], left : left + mask.shape[1]]
    return grown


def voc_palette() -> np.ndarray:
    """Return VOC's colour map: the bits of an index, dealt to red, green and blue.

    Returns:
        UInt8Array[256, 3], RGB; 0 is black, 255 is cream.
    """
    index = np.arange(256)
    palette = np.zeros((256, 3), dtype=np.uint8)
    for bit in range(8):
        for channel in range(3):
            ones = (index >> (3 * bit + channel)) & 1
            palette[:, channel] |= (ones << (7 - bit)).astype(np.uint8)
    return palette
