"""Puts errors of data sets into the terms of the config that names them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config

from dropblock_mm.data_checks.inventory import inventory
from dropblock_mm.data_checks.layouts.base import annotation_file_flaws
from dropblock_mm.data_checks.quick import refusal
from dropblock_mm.errors import RefusedValueError


@contextmanager
def naming_bad_data(cfg: Config, loops: Sequence[str]) -> Iterator[None]:
    """Put the errors of data sets that are being built in the user's terms.

    Args:
        cfg (Config): The whole config.
        loops: Which of 'train', 'val' and 'test' are going to run.

    Raises:
        ValueError: Instead of a JSON error, where a file of the config is to blame,
            and of NumPy's error about a data set without images.
    """
    try:
        yield
    except json.JSONDecodeError as error:
        problems = list(_broken_json(cfg.to_dict(), loops))
        if not problems:
            raise
        raise refusal(problems) from error
    except ValueError as error:
        if not _is_of_empty_dataset(error):
            raise
        found = inventory(cfg.to_dict(), loops)
        keys = ', '.join(entry.key for entry in found.data_sets)
        raise RefusedValueError(
            f'no image is left of a data set (of {keys}). Their filter_cfg leaves out '
            'images without boxes, and small ones; see whether metainfo.classes are '
            'those of the annotations.'
        ) from error


def _is_of_empty_dataset(error: ValueError) -> bool:
    """Whether mmengine's data set raised it when it had nothing to keep."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_name != '_serialize_data':
        trace = trace.tb_next
    return trace is not None and 'need at least one array' in str(error)


def _broken_json(config: Mapping[str, Any], loops: Sequence[str]) -> Iterator[str]:
    found = inventory(config, loops)
    named = [entry.annotations for entry in found.data_sets]
    for path in [*named, *(metric.annotations for metric in found.metrics)]:
        if path and path.path.endswith('.json') and os.path.isfile(path.path):
            yield from annotation_file_flaws(path, os.path.getsize(path.path))
