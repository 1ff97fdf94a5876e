"""Evaluates a model on images that it was trained on, for the gap to others."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dropblock_mm.datasets.few_images import evenly_spaced, places_of
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.checkpoints.whole_files import write_json
from dropblock_mm.runs.nested_datasets import innermost, outwards
from dropblock_mm.runs.type_names import type_name

FOLDER = 'on_training'  # of annotations, in the work dir of all runs
# Data sets whose images the evaluator lists by itself, from a file of annotations.
_READ_BY_METRIC = ('CocoMetric',)


def on_training(cfg: Config, images: int, work_dir: Path) -> Config:
    """Let the test have training images in the pipeline of validation.

    They are evenly spaced: many data sets are sorted by class.

    Where several data sets are trained on, it is the first one.

    Args:
        cfg (Config): Of a training; it is not changed.
        images: How many images, at most.
        work_dir: Of all runs. The part of a COCO file that is needed is to be there.

    Returns:
        Config: For the command test.

    Raises:
        RefusedValueError: The evaluator reads annotations whose format is not known.
    """
    trained = copy.deepcopy(next(innermost(cfg.train_dataloader)))
    validated = next(innermost(cfg.val_dataloader))
    for key in ('pipeline', 'test_mode'):
        if key in validated:
            trained[key] = copy.deepcopy(validated[key])
    if trained.get('test_mode'):
        # It is for training alone: mmdet's VOC data sets assert that.
        (trained.get('filter_cfg') or {}).pop('bbox_min_size', None)
    changed = copy.deepcopy(cfg)
    changed.test_evaluator = copy.deepcopy(cfg.val_evaluator)
    for metric in _metrics(changed.test_evaluator):
        if metric.get('ann_file') is None:
            continue
        if type_name(metric) not in _READ_BY_METRIC:
            raise RefusedValueError(
                f'how good the models are on their training images cannot be told: '
                f'{type_name(metric)} of val_evaluator reads {metric.ann_file!r}, and '
                'how to make such a file of the training images is not known. Add '
                '--gap-images 0.'
            )
        path = str(annotations_file(work_dir, images))
        trained.data_root, prefix = '', trained.get('data_root') or ''
        trained.data_prefix = {
            key: os.path.join(prefix, folder)
            for key, folder in (trained.get('data_prefix') or {}).items()
        }
        trained.ann_file = metric.ann_file = path
        trained.pop('indices', None)
    for part in _parts(cfg):
        trained = {**copy.deepcopy(part), 'dataset': trained}
    few = {'type': 'dropblock_mm.FewImages', 'dataset': trained, 'number': images}
    changed.test_dataloader = {**copy.deepcopy(cfg.val_dataloader), 'dataset': few}
    changed.test_cfg = cfg.get('test_cfg') or {'type': 'TestLoop'}
    return changed


def annotations_file(work_dir: Path, images: int) -> Path:
    """Return where the part of a COCO file is."""
    return Path(work_dir, FOLDER, f'annotations_{images}.json').absolute()


def write_annotations(cfg: Config, images: int, work_dir: Path) -> None:
    """Write the part of a COCO file that :func:`on_training` names, if it does.

    Args:
        cfg (Config): Of a training.
        images: How many images, at most.
        work_dir: Of all runs.
    """
    if not any(metric.get('ann_file') for metric in _metrics(cfg.val_evaluator)):
        return
    dataset = next(innermost(cfg.train_dataloader))
    path = Path(dataset.get('data_root') or '', dataset.ann_file)
    content = json.loads(path.read_text(encoding='utf-8'))
    nonempty = bool((dataset.get('filter_cfg') or {}).get('filter_empty_gt'))
    part = dataset.get('indices')
    few = some_images(content, images, nonempty=nonempty, part=part, few=_parts(cfg))
    write_json(annotations_file(work_dir, images), few)


def some_images(
    content: Mapping[str, Any],
    number: int,
    *,
    nonempty: bool,
    part: int | Sequence[int] | None = None,
    few: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return some images of a COCO file, evenly spaced, with their annotations.

    Args:
        content: Of the file.
        number: How many images, at most.
        nonempty: Whether only images with annotations count.
        part: Of which they are, as ``indices`` of a data set; of all if None.
        few: Configs of ``FewImages`` that choose among these, the innermost first.
    """
    annotated = {note['image_id'] for note in content['annotations']}
    listed = [
        image for image in content['images'] if not nonempty or image['id'] in annotated
    ]
    if part is not None:
        listed = listed[:part] if isinstance(part, int) else [listed[i] for i in part]
    for choice in few:
        places = places_of(len(listed), choice['number'], choice.get('others', False))
        listed = [listed[place] for place in places]
    listed = [listed[place] for place in evenly_spaced(len(listed), number)]
    chosen = {image['id'] for image in listed}
    notes = [n for n in content['annotations'] if n['image_id'] in chosen]
    return {**content, 'images': listed, 'annotations': notes}


def _parts(cfg: Config) -> list[Any]:
    """List the data sets that leave images out of training, the innermost first."""
    around = outwards(cfg.train_dataloader)
    return [part for part in around if type_name(part) == 'FewImages']


def _metrics(evaluator: Any) -> list[Any]:
    """List the metrics of an evaluator, which is one, or a list."""
    return list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]
