"""Label maps of PASCAL VOC, and what can be wrong with them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from dropblock_mm.datasets.layouts import VOC_BORDER, voc_palette
from dropblock_mm.errors import RefusedValueError

NUM_CLASSES = 21


def read_label_map(path: Path) -> np.ndarray:
    """Return the label map UInt8Array[H, W] in a PNG of VOC or a .mat file of SBD.

    Raises:
        ValueError: It is in colour, or its palette mixes the classes up.
    """
    if path.suffix == '.mat':
        # Imported here: only this needs it.
        from scipy.io import loadmat

        return loadmat(str(path))['GTcls'][0]['Segmentation'][0].astype(np.uint8)
    with Image.open(path) as image:
        labels = np.asarray(image)
        palette = image.getpalette('RGB') if image.mode == 'P' else None
    if labels.ndim != 2:
        raise RefusedValueError(
            f'{image.mode}, a picture in colour and no map of classes'
        )
    if palette is not None:
        check_palette(palette, np.unique(labels).tolist())
    return labels


def check_palette(palette: list[int], used: Iterable[int]) -> None:
    """Look at the colours of the classes that occur.

    Args:
        palette: Red, green and blue of 0, then of 1, ...
        used: Labels that occur.

    Raises:
        ValueError: One has the colour of another class; strange colours may be.
    """
    colours = voc_palette()[:NUM_CLASSES].tolist()
    for label in (label for label in used if label < NUM_CLASSES):
        colour = palette[3 * label : 3 * label + 3]
        if colour in colours and colour != colours[label]:
            raise RefusedValueError(f'{label} in the colour of {colours.index(colour)}')


def check_label_map(labels: np.ndarray, image_size: tuple[int, int]) -> None:
    """Compare a label map UInt8Array[H, W] with VOC's classes and its image.

    Args:
        labels: The label map.
        image_size: (width, height) of the image.

    Raises:
        ValueError: It has another size, or labels that are no class.
    """
    height, width = labels.shape
    if (width, height) != image_size:
        raise RefusedValueError(
            f'{(width, height)} pixels, but the image has {image_size}'
        )
    wrong = sorted({*np.unique(labels).tolist()} - {*range(NUM_CLASSES), VOC_BORDER})
    if wrong:
        raise RefusedValueError(f'{wrong} are no labels of VOC')


def encode(labels: np.ndarray) -> bytes:
    """Write a label map as a PNG with VOC's palette."""
    image = Image.fromarray(labels)
    image.putpalette(voc_palette().tobytes())
    buffer = io.BytesIO()
    image.save(buffer, 'PNG')
    return buffer.getvalue()
