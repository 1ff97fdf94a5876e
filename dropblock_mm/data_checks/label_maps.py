"""What can be wrong with a label map of semantic segmentation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dropblock_mm.data_checks.problems import Problem, error, missing, warning

MISSING = missing('label maps')
BROKEN = error(
    'label maps that cannot be decoded',
    'Training ends there. Copy or download them again.',
)
COLOURED = error(
    'label maps in colour',
    'A map of class indices is expected, in one channel. Convert them by the palette '
    'of the classes.',
)
GREY_IN_COLOUR = error(
    'label maps in three equal channels',
    'A map of class indices is expected, in one channel. Keep one of them: '
    "Image.open(path).convert('L').",
)
FRACTIONS = error(
    'label maps of fractions',
    'A map of class indices is expected. Write whole numbers in 8 bits.',
)
LOSSY = error(
    'label maps stored as JPEG',
    'Compression changes labels along every border. Write them as PNG from the source.',
)
OTHER_SIZE = error(
    'label maps of another size than their image',
    'Crops would not fit each other. Take the map that belongs to the image.',
)
BEYOND = error(
    'label maps with values that are no class',
    'The loss fails on them, and IoUMetric counts what is found there as wrong. '
    'Correct num_classes, metainfo.classes, reduce_zero_label, or ignore_index of the '
    'heads and of IoUMetric, or set them to the ignored value.',
)
OTHER_PALETTE = error(
    "label maps whose palette gives an index another class's colour",
    'Indices are what training learns, so they look like those of other classes. '
    'Convert them by their colours.',
)
UNKNOWN_PALETTE = warning(
    "label maps whose palette is not the classes'",
    'Indices alone count. See whether they mean what the classes say.',
)
ALL_IGNORED = warning(
    'label maps that are ignored as a whole', 'Nothing is learned of their images.'
)
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class LabelRule:
    """What a data set makes of the values in its label maps.

    Args:
        classes: Names of those that values 0, 1, ... stand for.
        palette: RGB colour of each; empty if not known.
        ignored: The value that stands for none.
        reduce_zero_label: Whether 0 stands for none too, and 1 for the first class.
        backend: That decodes label maps.
    """

    classes: tuple[str, ...]
    palette: tuple[Colour, ...] = ()
    ignored: int = 255
    reduce_zero_label: bool = False
    backend: str = 'pillow'

    @property
    def first(self) -> int:
        """The value of the first class."""
        return int(self.reduce_zero_label)

    def is_valid(self, value: int) -> bool:
        """Whether training can take it."""
        end = self.first + len(self.classes)
        return 0 <= value < end or value == self.ignored

    def is_class(self, value: int) -> bool:
        """Whether it stands for a class."""
        return self.is_valid(value) and value >= self.first and value != self.ignored


@dataclass(frozen=True)
class LabelCheck:
    """What was found out: problems, and the values that occur."""

    problems: tuple[Problem, ...]
    values: frozenset[int] = frozenset()


def check_label_map(
    path: str, image_size: tuple[int, int] | None, rule: LabelRule
) -> LabelCheck:
    """Decode a label map.

    Args:
        path (str): The file.
        image_size: (width, height) of its image as loaded, if it could be.
        rule: What its values mean.

    Returns:
        LabelCheck: With problems that name the path.
    """
    try:
        with Image.open(path) as label_map:
            label_map.load()
    except FileNotFoundError:
        return LabelCheck(((MISSING, path),))
    except Exception as flaw:  # Pillow's decoders raise many kinds
        return LabelCheck(((BROKEN, f'{path}: {flaw}'),))
    problems = list(_of_file(path, label_map, image_size, rule))
    if any(kind in _NO_INDICES for kind, _ in problems):
        return LabelCheck(tuple(problems))
    values = [int(value) for value in np.unique(np.asarray(label_map))]
    problems += _of_values(path, values, rule)
    if label_map.mode == 'P':
        problems += _of_palette(path, label_map, values, rule)
    return LabelCheck(tuple(problems), frozenset(values))


_NO_INDICES = (COLOURED, GREY_IN_COLOUR, FRACTIONS)


def _of_file(
    path: str,
    label_map: Image.Image,
    image_size: tuple[int, int] | None,
    rule: LabelRule,
) -> Iterator[Problem]:
    width, height = label_map.size
    if image_size and (width, height) != image_size:
        yield (
            OTHER_SIZE,
            f'{path}: {width} x {height}, image {image_size[0]} x {image_size[1]}',
        )
    if label_map.format == 'JPEG':
        yield LOSSY, path
    # cv2 expands a palette to colours.
    expanded = label_map.mode == 'P' and rule.backend == 'cv2'
    if len(label_map.getbands()) > 1 or expanded:
        kind = GREY_IN_COLOUR if _is_grey(label_map) else COLOURED
        yield kind, f'{path}: {label_map.mode}'
    elif label_map.mode == 'F':
        yield FRACTIONS, path


def _is_grey(label_map: Image.Image) -> bool:
    """Whether all channels of colour say the same."""
    bands = np.asarray(label_map)
    if bands.ndim < 3 or bands.shape[2] < 3:
        return False
    return bool((bands[..., :1] == bands[..., 1:3]).all())


def _of_values(path: str, values: Sequence[int], rule: LabelRule) -> Iterator[Problem]:
    wrong = [str(value) for value in values if not rule.is_valid(value)]
    if wrong:
        more = ', ...' if len(wrong) > 5 else ''
        yield BEYOND, f'{path}: {", ".join(wrong[:5])}{more}'
    elif not any(rule.is_class(value) for value in values):
        yield ALL_IGNORED, path


def _of_palette(
    path: str, label_map: Image.Image, values: Sequence[int], rule: LabelRule
) -> Iterator[Problem]:
    """Compare the colours of the classes that occur, the first that differs counts."""
    flat = label_map.getpalette('RGB') or []
    for value in filter(rule.is_class, values):
        index = value - rule.first
        colour = tuple(flat[3 * value : 3 * value + 3])
        if index >= len(rule.palette) or colour == rule.palette[index]:
            continue
        told = f'{path}: {value} ({rule.classes[index]})'
        if colour in rule.palette:
            other = rule.classes[rule.palette.index(colour)]
            yield OTHER_PALETTE, f'{told} in the colour of {other}'
        else:
            yield UNKNOWN_PALETTE, f'{told} is {colour}'
        return
