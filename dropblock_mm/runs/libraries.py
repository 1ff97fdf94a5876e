"""What runs know of OpenMMLab's libraries: all of it stands here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """A library whose configs are run.

    Attributes:
        scope: Its import name, which is its ``default_scope`` and stands before '::'.
        installed_by: The packages that provide it, OpenMMLab's first, then the
            maintained fork's.
        metrics: Scalars of its evaluations that tell how good a model is, the one
            that is looked at first.
        image_folder: Where ``data_prefix`` of its data sets has the images.
    """

    scope: str
    installed_by: tuple[str, ...]
    metrics: tuple[str, ...]
    image_folder: str


LIBRARIES = (
    Library(
        'mmdet',
        ('mmdet', 'onedl-mmdetection'),
        ('coco/bbox_mAP', 'pascal_voc/mAP'),
        'img',
    ),
    Library(
        'mmseg',
        ('mmsegmentation', 'onedl-mmsegmentation'),
        ('mIoU',),
        'img_path',
    ),
    Library(
        'mmpretrain',
        ('mmpretrain', 'onedl-mmpretrain'),
        ('accuracy/top1', 'multi-label/mAP', 'single-label/f1-score'),
        'img_path',
    ),
)

# Metrics whose evaluators give shares and not percent, by the beginning of their names.
_SHARES = ('coco/', 'pascal_voc/')
METRICS = tuple(metric for library in LIBRARIES for metric in library.metrics)
IMAGE_FOLDERS = tuple(dict.fromkeys(library.image_folder for library in LIBRARIES))


def main_metric(keys: Iterable[str]) -> str:
    """Choose the metric that tells how good a model is.

    Args:
        keys: What an evaluation gave, at least one.

    Returns:
        str: One of those that the libraries' data sets are judged by, or else the
        first.
    """
    found = list(keys)
    return next((metric for metric in METRICS if metric in found), found[0])


def percent(key: str) -> float:
    """Return what turns a metric into percent, where it is a share; 1 elsewhere."""
    return 100.0 if key.startswith(_SHARES) else 1.0


def installed_by(scope: str) -> str:
    """Say what to install for a ``default_scope``; of others, the scope itself."""
    found = next((lib for lib in LIBRARIES if lib.scope == scope), None)
    return ' or '.join(found.installed_by) if found else scope


def tune(scope: str) -> None:
    """Do what the tools of a library do before they build anything.

    Args:
        scope: Of a library that is installed.
    """
    if scope == 'mmdet':
        # Imported here: a run of another library needs no mmdet.
        from mmdet.utils import setup_cache_size_limit_of_dynamo

        setup_cache_size_limit_of_dynamo()
