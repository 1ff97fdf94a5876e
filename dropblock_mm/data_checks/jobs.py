"""One image of a data set, with all that is to be compared with it."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass

from dropblock_mm.data_checks import images, label_maps
from dropblock_mm.data_checks.annotations.voc_files import image_size
from dropblock_mm.data_checks.images import MIRRORED, Loader, check_image
from dropblock_mm.data_checks.label_maps import LabelRule, check_label_map
from dropblock_mm.data_checks.problems import Problem


@dataclass(frozen=True)
class Job:
    """An image.

    Args:
        image: Its path.
        loader: How training loads it.
        size: (width, height) in the annotations, if they say.
        xml: The VOC file that states the size, read when the job is done.
        label_map: Path of its label map, if it has one.
        rule: What the label map's values mean.
        label: The class of the whole image, if it has one.
    """

    image: str
    loader: Loader
    size: tuple[int, int] | None = None
    xml: str = ''
    label_map: str = ''
    rule: LabelRule | None = None
    label: str = ''


@dataclass(frozen=True)
class Outcome:
    """The problems of an image, the values in its label map, its content's digest."""

    problems: tuple[Problem, ...]
    values: frozenset[int] = frozenset()
    digest: bytes = b''


def do(job: Job) -> Outcome:
    """Check one image and its label map."""
    size = xml_size(job.xml) if job.xml else job.size
    image = check_image(job.image, size, job.loader)
    problems = image.problems
    if image.mirrored and (size or job.label_map):
        problems += ((MIRRORED, job.image),)
    if not job.label_map or job.rule is None:
        return Outcome(problems, digest=image.digest)
    labels = check_label_map(job.label_map, image.size, job.rule)
    return Outcome(problems + labels.problems, labels.values, image.digest)


def xml_size(path: str) -> tuple[int, int] | None:
    """Return the size that a VOC file states; what is wrong with it is said before."""
    try:
        size = image_size(ElementTree.parse(path).getroot())
    except (OSError, ElementTree.ParseError, LookupError, ValueError):
        return None
    return size if size and min(size) > 0 else None


def mirrored_as_turned(problems: Sequence[Problem]) -> list[Problem]:
    """Judge images that EXIF mirrors by those whose size shows how they were annotated.

    A tool that annotates pictures as it shows them, upright, does so with all.
    """
    kinds = {kind for kind, _ in problems}
    if images.UPRIGHT not in kinds or kinds & {images.TURNED, label_maps.OTHER_SIZE}:
        return list(problems)
    return [
        (images.UPRIGHT if kind is MIRRORED else kind, path) for kind, path in problems
    ]
