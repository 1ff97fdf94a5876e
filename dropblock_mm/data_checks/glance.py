"""A few files, decoded before training: enough to see how a tool wrote them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from PIL import Image

from dropblock_mm.data_checks import images, label_maps
from dropblock_mm.data_checks.entries import DataSetEntry
from dropblock_mm.data_checks.jobs import Job, do, mirrored_as_turned
from dropblock_mm.data_checks.label_maps import check_label_map
from dropblock_mm.data_checks.label_values import OF_ALL
from dropblock_mm.data_checks.layouts import layout_of
from dropblock_mm.data_checks.problems import Problem
from dropblock_mm.datasets.few_images import evenly_spaced

SAMPLED = 32
# Those that are not there were named before; those that are damaged are looked for in
# all files once the data sets are built.
_LEFT_OUT = (
    *(images.MISSING, images.EMPTY, images.BROKEN, images.CUT_SHORT),
    *(label_maps.MISSING, label_maps.BROKEN),
)


def glance(entry: DataSetEntry) -> Iterator[Problem]:
    """Find errors in a sample of images and label maps, as the thorough check says.

    What holds for all together, as that no pixel of a label map is of the foreground,
    a sample cannot prove: where it looks so, other maps are decoded too, until one
    denies it.

    Args:
        entry: A data set whose files were all looked for.
    """
    jobs = [job for job in layout_of(entry).jobs(entry) if os.path.isfile(job.image)]
    chosen = evenly_spaced(len(jobs), SAMPLED)
    rest = sorted({*range(len(jobs))}.difference(chosen))
    with _images_of_any_size():
        outcomes = [do(jobs[index]) for index in chosen]
        problems = [problem for one in outcomes for problem in one.problems]
        for kind, text in mirrored_as_turned(problems):
            unproven = kind is images.MIRRORED and rest
            if kind.is_error and kind not in _LEFT_OUT and not unproven:
                yield kind, text
        values = {value for one in outcomes for value in one.values}
        yield from _of_values(entry, values, [jobs[index] for index in rest])


def _of_values(
    entry: DataSetEntry, values: set[int], rest: Sequence[Job]
) -> Iterator[Problem]:
    """Judge the values in label maps; some errors only if no other map denies them."""
    found = _errors(entry, values)
    for job in rest:
        if not any(kind in OF_ALL for kind, _ in found):
            break
        if job.rule is not None:
            values |= check_label_map(job.label_map, None, job.rule).values
            found = _errors(entry, values)
    yield from found


def _errors(entry: DataSetEntry, values: set[int]) -> list[Problem]:
    found = layout_of(entry).afterwards(entry, values)
    return [problem for problem in found if problem[0].is_error]


@contextmanager
def _images_of_any_size() -> Iterator[None]:
    """Pillow takes large images for an attack; these are the user's own."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit
