"""The embedded data set."""

from dropblock_mm.datasets.builder import build_on_digit_images, build_on_digit_scenes
from dropblock_mm.datasets.digit_images import make_digit_images
from dropblock_mm.datasets.digit_scenes import make_digit_scenes
from dropblock_mm.datasets.few_images import FewImages
from dropblock_mm.datasets.layouts import DIGIT_CLASSES

__all__ = [
    'DIGIT_CLASSES',
    'FewImages',
    'build_on_digit_images',
    'build_on_digit_scenes',
    'make_digit_images',
    'make_digit_scenes',
]
