"""The embedded data set for classifiers: a handwritten digit on a photograph."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from dropblock_mm.datasets.digit_scenes import Settings, make
from dropblock_mm.datasets.layouts import DIGIT_CLASSES
from dropblock_mm.datasets.rendering import render_digit
from dropblock_mm.datasets.sources import (
    SPLITS,
    Sources,
    split_digits,
    split_photo,
)


@dataclass(frozen=True)
class ImageSettings(Settings):
    """All that the images depend on; each class has one at least."""

    WHAT: ClassVar[str] = 'digit images'
    SMALLEST: ClassVar[dict[str, int]] = {
        'num_train': 10,
        'num_val': 10,
        'image_size': 32,
        'seed': 0,
    }
    LAYOUT: ClassVar[tuple[str, ...]] = SPLITS

    def recipe(self) -> dict[str, Any]:
        """Return what the folder's content follows from: no scenes, but images."""
        return {**super().recipe(), 'what': self.WHAT}


def make_digit_images(
    root: str | os.PathLike[str] = 'data/digit_images',
    *,
    num_train: int = 6000,
    num_val: int = 400,
    image_size: int = 32,
    seed: int = 0,
) -> Path:
    """Make sure that ``root`` holds images of single digits, in class folders.

    As :func:`make_digit_scenes` makes scenes, of the same digits and photographs with
    the same parts for training and evaluation, and one digit in each image. The
    classes take turns, so each has the same number of images, give or take one::

        root/
          train/{0..9}/NNNNNN.jpg
          val/{0..9}/NNNNNN.jpg
          manifest.json             size and hash of every file

    A complete folder is verified and left alone; an incomplete or damaged one is
    made again.

    Args:
        root: The folder, made if missing.
        num_train: Number of images to train on, 10 or more.
        num_val: Number of images to evaluate on, 10 or more.
        image_size: Side of the square images in pixels, 32 or more.
        seed: Decides everything that is random.

    Returns:
        Path: ``root``.

    Raises:
        ValueError: If a setting is outside its range, or if ``root`` holds images
            made with other settings.
        FileExistsError: If ``root`` holds something else.
        ModuleNotFoundError: If scikit-learn is not installed.
    """
    settings = ImageSettings(num_train, num_val, image_size, seed)
    return make(Path(root), settings, write_images)


def write_images(folder: Path, settings: ImageSettings, sources: Sources) -> None:
    """Write the images of both splits into an empty folder."""
    digits = split_digits(sources.labels, settings.seed)
    for split, number in zip(
        SPLITS, (settings.num_train, settings.num_val), strict=True
    ):
        for name in DIGIT_CLASSES:
            (folder / split / name).mkdir(parents=True)
        photos = [split_photo(photo, split) for photo in sources.photos]
        for index in range(number):
            # An image depends on the seed and on its own number, not on how many
            # there are.
            rng = np.random.default_rng([settings.seed, SPLITS.index(split), index])
            label = index % len(DIGIT_CLASSES)
            ink = sources.digits[rng.choice(digits[split][label])]
            image = render_digit(ink, photos, settings.image_size, rng)
            path = folder / split / DIGIT_CLASSES[label] / f'{index:06d}.jpg'
            Image.fromarray(image).save(path, quality=95, subsampling=0)
