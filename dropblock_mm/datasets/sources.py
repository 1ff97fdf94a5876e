"""What the scenes are made of: scikit-learn's bundled digits and photographs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dropblock_mm.errors import MissingPackageError

NUM_CLASSES = 10
VAL_FRACTION = 0.2
SPLITS = ('train', 'val')


@dataclass(frozen=True)
class Sources:
    """The raw material, as arrays.

    Attributes:
        digits: FloatArray[N, 8, 8], ink in [0, 1].
        labels: IntArray[N], the digit's class in 0..9.
        photos: UInt8Array[H, W, 3] each, RGB.
    """

    digits: np.ndarray
    labels: np.ndarray
    photos: tuple[np.ndarray, ...]


def load_sources() -> Sources:
    """Read the digits and photographs that come inside scikit-learn.

    Raises:
        ModuleNotFoundError: If scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits, load_sample_images
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            'The digit scenes are made from the images inside scikit-learn, which '
            "cannot be imported. Install it with `pip install 'dropblock_mm[demo]'`.",
            name=error.name,
        ) from error
    digits = load_digits()
    return Sources(
        digits=digits.images.astype(np.float32) / 16.0,
        labels=digits.target.astype(np.int64),
        photos=tuple(load_sample_images().images),
    )


def split_digits(labels: np.ndarray, seed: int) -> dict[str, list[np.ndarray]]:
    """Part the handwritten digits, class by class, so that no split shares one.

    Args:
        labels: IntArray[N], classes in 0..9.
        seed: Decides which digit goes where.

    Returns:
        For 'train' and 'val', the ten sorted arrays of indices into ``labels``.
    """
    rng = np.random.default_rng(seed)
    parts: dict[str, list[np.ndarray]] = {split: [] for split in SPLITS}
    for label in range(NUM_CLASSES):
        members = rng.permutation(np.flatnonzero(labels == label))
        num_val = round(VAL_FRACTION * len(members))
        parts['val'].append(np.sort(members[:num_val]))
        parts['train'].append(np.sort(members[num_val:]))
    return parts


def split_photo(photo: np.ndarray, split: str) -> np.ndarray:
    """Cut the part of a photograph that belongs to one split.

    There are only two photographs, so each lends its left part to val and the rest
    to train: no pixel is seen in both. In both photographs the border runs through
    the object in the middle, so the two parts show the same kinds of things.

    Args:
        photo: UInt8Array[H, W, 3], wider than high.
        split: 'train' or 'val'.

    Returns:
        UInt8Array[H, w, 3], a view; w is at least H / 2.
    """
    height, width = photo.shape[:2]
    border = max(round(VAL_FRACTION * width), height // 2)
    return photo[:, border:] if split == 'train' else photo[:, :border]
