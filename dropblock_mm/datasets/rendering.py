"""Draw one scene: handwritten digits on a piece of a photograph.

Everything here is a function of its arguments and of the generator passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from dropblock_mm.datasets.sources import Sources

DIGITS_PER_SCENE = (2, 6)
DIGIT_SIDE = (0.19, 0.42)  # of the image's side
SINGLE_SIDE = (0.9, 1.15)  # the same, of a digit that is alone
CROP_SIDE = (0.25, 0.5)  # of the photograph's height
MAX_COVERED = 0.1  # of the smaller of two digits' boxes
PLACEMENT_TRIES = 20
COLOUR_TRIES = 12
MIN_CONTRAST = 110.0  # Euclidean distance in 8-bit RGB
INK_LEVEL = 0.4  # upscaled ink above this belongs to the digit
INK_SOFTNESS = 0.3  # ink over which an edge goes from clear to opaque


@dataclass(frozen=True)
class Scene:
    """An image and the digits that can be seen in it.

    Attributes:
        image: UInt8Array[S, S, 3], RGB.
        masks: BoolArray[K, S, S], the visible pixels of each digit; disjoint.
        digits: IntArray[K], index of each handwritten digit in the sources.
    """

    image: np.ndarray
    masks: np.ndarray
    digits: np.ndarray


def render_scene(
    sources: Sources,
    digits_by_class: list[np.ndarray],
    photos: list[np.ndarray],
    image_size: int,
    rng: np.random.Generator,
) -> Scene:
    """Draw a scene.

    Args:
        sources: The handwritten digits.
        digits_by_class: For each class the indices that may be used.
        photos: UInt8Array[H, W, 3] each, where the background is cut from.
        image_size: Side S of the scene in pixels.
        rng: Source of every random choice.
    """
    image = crop_photo(photos[rng.integers(len(photos))], image_size, rng)
    masks: list[np.ndarray] = []
    boxes: list[tuple[int, int, int, int]] = []
    digits: list[int] = []
    for _ in range(rng.integers(DIGITS_PER_SCENE[0], DIGITS_PER_SCENE[1] + 1)):
        digit = int(rng.choice(digits_by_class[rng.integers(len(digits_by_class))]))
        opacity = draw_digit(sources.digits[digit], image_size, rng)
        box = find_place(opacity.shape, boxes, image_size, rng)
        if box is None:
            continue
        mask = paste_digit(image, opacity, box, rng)
        # A later digit lies on top: the earlier ones keep what is still seen.
        masks = [earlier & ~mask for earlier in masks] + [mask]
        boxes.append(box)
        digits.append(digit)
    return Scene(image, np.stack(masks), np.array(digits))


def render_digit(
    ink: np.ndarray,
    photos: list[np.ndarray],
    image_size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw a single digit on a photograph.

    Args:
        ink: FloatArray[8, 8] in [0, 1].
        photos: UInt8Array[H, W, 3] each, where the background is cut from.
        image_size: Side S of the image in pixels.
        rng: Source of every random choice.

    Returns:
        UInt8Array[S, S, 3], RGB.
    """
    image = crop_photo(photos[rng.integers(len(photos))], image_size, rng)
    opacity = draw_digit(ink, image_size, rng, SINGLE_SIDE)
    height, width = opacity.shape
    top = int(rng.integers(image_size - height + 1))
    left = int(rng.integers(image_size - width + 1))
    paste_digit(image, opacity, (top, left, height, width), rng)
    return image


def crop_photo(photo: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Cut a random square from a photograph and scale it to ``size`` pixels.

    Args:
        photo: UInt8Array[H, W, 3], at least half as wide as high.
        size: Side of the result in pixels.
        rng: Source of the square's place and size.

    Returns:
        UInt8Array[size, size, 3], mirrored half of the time.
    """
    height, width = photo.shape[:2]
    side = int(rng.uniform(*CROP_SIDE) * height)
    top = rng.integers(height - side + 1)
    left = rng.integers(width - side + 1)
    crop = Image.fromarray(photo[top : top + side, left : left + side])
    image = np.asarray(crop.resize((size, size), Image.Resampling.BICUBIC))
    return image[:, :: rng.choice((-1, 1))].copy()


def draw_digit(
    ink: np.ndarray,
    image_size: int,
    rng: np.random.Generator,
    sides: tuple[float, float] = DIGIT_SIDE,
) -> np.ndarray:
    """Scale a digit to a random size and trim it to its ink.

    Args:
        ink: FloatArray[8, 8] in [0, 1].
        image_size: Side of the scene in pixels.
        rng: Source of the size.
        sides: Smallest and largest side, before trimming, of the scene's.

    Returns:
        FloatArray[h, w], opacity in [0, 1]; at least 0.5 on the digit itself, and
        every border row and column has such a pixel.
    """
    side = round(rng.uniform(*sides) * image_size)
    # Zeros around the 8x8 ink let strokes at its edge end roundly.
    padded = Image.fromarray(np.pad(ink, 1))
    large = np.asarray(padded.resize((side, side), Image.Resampling.BICUBIC))
    opacity = np.clip((large - INK_LEVEL) / INK_SOFTNESS + 0.5, 0.0, 1.0)
    rows, columns = np.nonzero(opacity >= 0.5)
    return opacity[
        rows.min() : rows.max() + 1,
        columns.min() : columns.max() + 1,
    ]


def find_place(
    shape: tuple[int, ...],
    boxes: list[tuple[int, int, int, int]],
    image_size: int,
    rng: np.random.Generator,
) -> tuple[int, int, int, int] | None:
    """Choose where a digit goes without hiding the ones that are there.

    Args:
        shape: (h, w) of the digit in pixels.
        boxes: (top, left, h, w) of the digits that are there.
        image_size: Side of the scene in pixels.
        rng: Source of the positions tried.

    Returns:
        (top, left, h, w), or None if the scene is too full.
    """
    height, width = shape
    for _ in range(PLACEMENT_TRIES):
        top = int(rng.integers(image_size - height + 1))
        left = int(rng.integers(image_size - width + 1))
        box = (top, left, height, width)
        if all(covered_fraction(box, other) <= MAX_COVERED for other in boxes):
            return box
    return None


def covered_fraction(
    box: tuple[int, int, int, int], other: tuple[int, int, int, int]
) -> float:
    """Return the intersection of two boxes over the area of the smaller one.

    Args:
        box: (top, left, h, w).
        other: (top, left, h, w).
    """
    overlap = 1
    for axis in (0, 1):
        start = max(box[axis], other[axis])
        end = min(box[axis] + box[axis + 2], other[axis] + other[axis + 2])
        overlap *= max(end - start, 0)
    return overlap / min(box[2] * box[3], other[2] * other[3])


def paste_digit(
    image: np.ndarray,
    opacity: np.ndarray,
    box: tuple[int, int, int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Blend a digit into an image, in place, in a colour that can be seen there.

    Args:
        image: UInt8Array[S, S, 3], written to.
        opacity: FloatArray[h, w] in [0, 1].
        box: (top, left, h, w).
        rng: Source of the colour.

    Returns:
        BoolArray[S, S], the digit's pixels.
    """
    top, left, height, width = box
    window = image[top : top + height, left : left + width]
    colour = choose_colour(window[opacity >= 0.5].mean(axis=0), rng)
    blended = window + (colour - window) * opacity[..., None]
    window[:] = np.rint(blended).astype(np.uint8)
    mask = np.zeros(image.shape[:2], dtype=bool)
    mask[top : top + height, left : left + width] = opacity >= 0.5
    return mask


def choose_colour(behind: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw colours until one stands out; if none does, take the best of them.

    Args:
        behind: FloatArray[3], the mean colour that the digit will cover, 0..255.
        rng: Source of the colours.

    Returns:
        FloatArray[3], 0..255.
    """
    colours = rng.uniform(0.0, 255.0, size=(COLOUR_TRIES, 3))
    contrast = np.linalg.norm(colours - behind, axis=1)
    if contrast.max() < MIN_CONTRAST:
        return colours[contrast.argmax()]
    return colours[np.argmax(contrast >= MIN_CONTRAST)]
