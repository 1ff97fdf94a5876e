"""What the values of all label maps of a data set say together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from dropblock_mm.data_checks.label_maps import LabelRule
from dropblock_mm.data_checks.problems import Problem, error, warning

FOREGROUND_IGNORED = error(
    'data set with no pixel of a class but the first, and some that are ignored',
    'The ignored value stands for a class, as in masks of 0 and 255, and the '
    'background alone would be learned. Write that class as 1, say by '
    'Image.open(path).point(lambda value: value > 0).',
)
BACKGROUND_ALONE = error(
    'data set with no pixel of a class but the first',
    'Nothing else would be learned. See whether these are the maps of the images, and '
    'reduce_zero_label right.',
)
NO_CLASS = error(
    'data set without a pixel of a class',
    'All of it is ignored. Correct reduce_zero_label, or the ignore_index of the head.',
)
SPREAD = error(
    'data set whose label values are spread over the greys',
    'They were written to be looked at. Number them from 0, say by '
    'Image.open(path).point(lambda value: round(value / STEP)).',
)
DEEP = error(
    'data set with label values above 255',
    'Their lower 8 bits would be taken. Number the classes from 0 and write 8 bits.',
)
FROM_ONE = error(
    'data set whose label values are one too many',
    'They count from 1, or the last stands for none. If 0 stands for none, set '
    'reduce_zero_label=True in every data set; if the last does, set ignore_index in '
    'decode_head and auxiliary_head, and in IoUMetric. If one class stands beside a '
    'background of 0, the background is a class too, the first of two.',
)
# Of these, one more map may deny each.
OF_ALL = (FOREGROUND_IGNORED, BACKGROUND_ALONE, NO_CLASS)
UNUSED = warning('classes without a pixel', 'Nothing is learned of them here.')


def value_problems(
    values: set[int], rule: LabelRule, trains: bool
) -> Iterator[Problem]:
    """Judge the values that occur.

    Args:
        values: Of all maps.
        rule: What they stand for.
        trains (bool): Whether the data set is trained on.
    """
    used = {value - rule.first for value in values if rule.is_class(value)}
    beyond = sorted(value for value in values if not rule.is_valid(value))
    if beyond:
        yield from _of_numbering(sorted(values), beyond, rule)
    elif not used:
        yield NO_CLASS, _told(sorted(values))
    elif used == {0} and len(rule.classes) > 1:
        if rule.ignored in values:
            yield FOREGROUND_IGNORED, f'{rule.ignored} for {rule.classes[1]}, ...?'
        elif trains:
            reduced = ', with reduce_zero_label=True' if rule.reduce_zero_label else ''
            yield BACKGROUND_ALONE, f'{_told(sorted(values))}{reduced}'
    for index, name in enumerate(rule.classes):
        if index not in used:
            yield UNUSED, name


def _of_numbering(
    values: Sequence[int], beyond: Sequence[int], rule: LabelRule
) -> Iterator[Problem]:
    """Tell why values are no class, where the tool that wrote them shows."""
    step = _step(values)
    if values[-1] > 255:
        yield DEEP, _told(values)
    elif beyond == [rule.first + len(rule.classes)]:
        yield FROM_ONE, f'{_told(values)} for {len(rule.classes)} classes'
    elif step:
        yield SPREAD, f'{_told(values)}: STEP is {step:g}'


def _step(values: Sequence[int]) -> float:
    """The distance of values that are spread evenly from 0 to 255; 0 if not so."""
    if len(values) < 2 or values[0] != 0:
        return 0
    least = min(b - a for a, b in itertools.pairwise(values))
    for count in range(max(round(255 / (least + 1)), 1), round(255 / least) + 2):
        step = 255 / count
        if step >= 2 and all(_is_near(value, step) for value in values):
            return step
    even = all(value % least == 0 for value in values)
    return least if least > 1 and even else 0


def _is_near(value: int, step: float) -> bool:
    """Whether it is a multiple, rounded up or down."""
    return abs(value - round(value / step) * step) < 1


def _told(values: Sequence[int]) -> str:
    more = ', ...' if len(values) > 6 else ''
    return f'values {", ".join(map(str, values[:6]))}{more}'
