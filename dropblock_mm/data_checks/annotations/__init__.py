"""What can be wrong in annotation files: COCO's json, VOC's xml, lists of names."""

from dropblock_mm.data_checks.annotations.coco import coco_problems
from dropblock_mm.data_checks.annotations.voc import BoxKinds, VocNames, voc_problems
from dropblock_mm.data_checks.problems import (
    Finding,
    Kind,
    Problem,
    error,
    tally,
    warning,
)

__all__ = [
    'BoxKinds',
    'Finding',
    'Kind',
    'Problem',
    'VocNames',
    'coco_problems',
    'error',
    'tally',
    'voc_problems',
    'warning',
]
