"""Finds images that are met twice: the same file, or files of the same bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from dropblock_mm.data_checks.jobs import Job
from dropblock_mm.data_checks.problems import Problem, warning

TWICE = warning('images that are listed twice', 'They are seen twice as often.')
SHARED = warning(
    'images of training that evaluation uses too', 'Its results are too good.'
)
COPIED = warning(
    'images of evaluation that are copies of images of training',
    'Its results are too good. Remove them from one of the two.',
)
OTHER_CLASS = warning(
    'images that are copies of images of another class',
    'The same picture is learned as two classes, or counted as one right and one '
    'wrong. Remove it from one of the two.',
)


def shared_images(
    jobs: Sequence[Job], loop: str, seen: dict[str, str]
) -> Iterator[Problem]:
    """Compare with the images met before, and add these to ``seen``; follow links."""
    met: set[str] = set()
    folders: dict[str, str] = {}
    for job in jobs:
        path = _real(job.image, folders)
        if path in met:
            yield TWICE, job.image
        elif seen.get(path, loop) == 'train' != loop:
            yield SHARED, job.image
        met.add(path)
        seen.setdefault(path, loop)


def copies(
    path: str, digest: bytes, loop: str, seen: dict[str, str]
) -> Iterator[Problem]:
    """Compare an image's bytes with those of training, and add them to ``seen``.

    That one file is in both is told by its path.
    """
    if not digest:
        return
    real, key = os.path.realpath(path), digest.hex()
    original = seen.setdefault(key, real if loop == 'train' else '')
    if original not in ('', real) and loop != 'train':
        yield COPIED, f'{path} of {original}'


def in_two_classes(
    job: Job, digest: bytes, labelled: dict[bytes, Job]
) -> Iterator[Problem]:
    """Compare an image's class with that of the first of the same bytes, if any."""
    if not digest or not job.label:
        return
    first = labelled.setdefault(digest, job)
    if first.label != job.label:
        yield OTHER_CLASS, f'{job.image} of {first.image}'


def _real(path: str, folders: dict[str, str]) -> str:
    """Follow links; those of a folder once, for asking the system takes long."""
    folder, name = os.path.split(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    if os.path.islink(path):
        return os.path.realpath(path)
    return os.path.join(folders[folder], name)
