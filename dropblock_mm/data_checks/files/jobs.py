"""One image of a data set, with all that is to be compared with it."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass

from dropblock_mm.data_checks.annotations import Problem
from dropblock_mm.data_checks.annotations.coco import has_keys
from dropblock_mm.data_checks.annotations.voc import image_size
from dropblock_mm.data_checks.files.images import Loader, check_image
from dropblock_mm.data_checks.files.label_maps import LabelRule, check_label_map
from dropblock_mm.data_checks.json_files import read_json
from dropblock_mm.data_checks.listed_files import listed_files, may_be_absent
from dropblock_mm.data_checks.paths import DataSetConfig


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
    """

    image: str
    loader: Loader
    size: tuple[int, int] | None = None
    xml: str = ''
    label_map: str = ''
    rule: LabelRule | None = None


@dataclass(frozen=True)
class Outcome:
    """The problems of an image, and the values in its label map."""

    problems: tuple[Problem, ...]
    values: frozenset[int] = frozenset()


def do(job: Job) -> Outcome:
    """Check one image and its label map."""
    size = xml_size(job.xml) if job.xml else job.size
    image = check_image(job.image, size, job.loader)
    if not job.label_map or job.rule is None:
        return Outcome(image.problems)
    labels = check_label_map(job.label_map, image.size, job.rule)
    return Outcome(image.problems + labels.problems, labels.values)


def xml_size(path: str) -> tuple[int, int] | None:
    """Return the size that a VOC file states; what is wrong with it is said before."""
    try:
        size = image_size(ElementTree.parse(path).getroot())
    except (OSError, ElementTree.ParseError):
        return None
    return size if size and min(size) > 0 else None


def jobs_of(dataset: DataSetConfig) -> list[Job]:
    """Return a data set's images; of a subset by ``indices`` those that are there."""
    loader = image_loader(dataset)
    make = _coco_jobs if dataset.layout == 'CocoDataset' else _listed_jobs
    partial = may_be_absent(dataset, 'images')
    jobs = make(dataset, loader)
    return [job for job in jobs if not partial or os.path.isfile(job.image)]


def _listed_jobs(dataset: DataSetConfig, loader: Loader) -> Iterator[Job]:
    files = listed_files(dataset)
    images = files.get('images', [])
    xmls = files.get('XML files') or [''] * len(images)
    maps = files.get('label maps') or [''] * len(images)
    rule = label_rule(dataset) if 'label maps' in files else None
    for image, xml, label_map in zip(images, xmls, maps, strict=True):
        yield Job(image, loader, xml=xml, label_map=label_map, rule=rule)


def _coco_jobs(dataset: DataSetConfig, loader: Loader) -> Iterator[Job]:
    annotations, folder = dataset.path('ann_file'), dataset.path('data_prefix', 'img')
    if annotations is None:
        return
    root = folder.path if folder else ''
    for entry in read_json(annotations.path)['images']:
        if has_keys(entry, ('file_name',)):
            path = os.path.join(root, entry['file_name'])
            sized = has_keys(entry, ('width', 'height'))
            yield Job(
                path, loader, (entry['width'], entry['height']) if sized else None
            )


def step_arguments(dataset: DataSetConfig, kind: str) -> dict:
    """Return the arguments of a pipeline's first step of a kind, {} without one."""
    steps = dataset.config.get('pipeline') or ()
    return next((dict(s) for s in steps if str(s.get('type')).endswith(kind)), {})


def image_loader(dataset: DataSetConfig) -> Loader:
    """Read the pipeline's way of loading images."""
    step = step_arguments(dataset, 'LoadImageFromFile')
    default = Loader()
    return Loader(
        step.get('imdecode_backend', default.backend),
        step.get('color_type', default.color_type),
    )


def label_rule(dataset: DataSetConfig) -> LabelRule | None:
    """Read what the values in label maps stand for; None if no classes are known.

    Where the config picks some of the classes that the data set's own class knows,
    files hold the values of the latter.
    """
    own, given = dataset.own_metainfo, dataset.config.get('metainfo') or {}
    meta = own if 'classes' in own else given
    classes = meta.get('classes') or dataset.classes
    if not classes:
        return None
    colours = meta.get('palette') or ()
    step = step_arguments(dataset, 'LoadAnnotations')
    ignored = dataset.argument('ignore_index')
    return LabelRule(
        tuple(classes),
        tuple((int(r), int(g), int(b)) for r, g, b in colours),
        255 if ignored is None else ignored,
        bool(dataset.argument('reduce_zero_label')),
        step.get('imdecode_backend', 'pillow'),
    )
