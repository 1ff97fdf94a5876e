"""What a detector was evaluated on, and what it found there."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dropblock_mm.analysis.figures.grid import evenly_spaced
from dropblock_mm.errors import RefusedValueError


@dataclass(frozen=True)
class Box:
    """A labelled box; x, y, width and height in pixels from the top left corner."""

    xywh: tuple[float, float, float, float]
    label: str
    score: float | None = None


@dataclass(frozen=True)
class Sample:
    """An image, UInt8Array[H, W, 3], with what is there and what was found."""

    image: np.ndarray
    truth: list[Box]
    predictions: list[Box]


@dataclass(frozen=True)
class Evaluated:
    """An evaluation.

    Args:
        paths: Of the images, by their ids.
        truth: Boxes by image.
        predictions: Boxes by image, of scores that are high enough.
        note: What is to be known of the choice of images; '' if nothing.
    """

    paths: Mapping[Any, Path]
    truth: Mapping[Any, list[Box]]
    predictions: Mapping[Any, list[Box]]
    note: str = ''

    def samples(self, number: int) -> list[Sample]:
        """Open evenly spaced images; all, if there are fewer."""
        ids = list(self.paths)
        return [
            Sample(
                np.asarray(Image.open(self.paths[one]).convert('RGB')),
                self.truth.get(one, []),
                self.predictions.get(one, []),
            )
            for one in (ids[i] for i in evenly_spaced(len(ids), number))
        ]


def of_annotations(
    ann_file: Path, image_dir: Path, results_file: Path, score_thr: float
) -> Evaluated:
    """Read an evaluation on a file of COCO annotations.

    Results do not name images in which nothing was found, and no classes that were not
    looked for: images without a single result are left out.

    Args:
        ann_file: COCO annotations.
        image_dir: What the annotations' ``file_name`` is relative to.
        results_file: COCO results: a list of image_id, category_id, bbox, score.
        score_thr: Predictions with a lower score are not drawn.

    Raises:
        RefusedValueError: The results are not of these annotations.
    """
    coco, results = _json(ann_file), read_results(results_file)
    names = {category['id']: category['name'] for category in coco['categories']}
    paths = {image['id']: image_dir / image['file_name'] for image in coco['images']}
    _check_same(results, results_file, names, paths, f'{str(ann_file)!r}')
    seen = {result['image_id'] for result in results}
    left_out = len(paths) - len(seen)
    note = (
        f'{left_out} of {len(paths)} images have no result at all and are left out: '
        'nothing was found in them, or they were not evaluated. Given a config in '
        'place of annotations and images, this draws what its test data set holds.'
    )
    return Evaluated(
        {one: path for one, path in paths.items() if one in seen},
        boxes_by_image(coco['annotations'], names),
        boxes_by_image([r for r in results if r['score'] >= score_thr], names),
        note if left_out else '',
    )


def of_dataset(dataset: Any, results_file: Path, score_thr: float) -> Evaluated:
    """Read an evaluation on a data set of mmdet's, with its images and classes.

    Args:
        dataset: As a config's ``test_dataloader`` builds it.
        results_file: COCO results.
        score_thr: Predictions with a lower score are not drawn.

    Raises:
        RefusedValueError: The results are not of this data set.
    """
    results = read_results(results_file)
    classes = dataset.metainfo['classes']
    # CocoMetric writes the annotations' own ids, or counts where there are none.
    ids = getattr(dataset, 'cat_ids', None) or range(len(classes))
    names = dict(zip(ids, classes, strict=False))
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    paths = {info['img_id']: Path(info['img_path']) for info in infos}
    _check_same(results, results_file, names, paths, "the config's test data set")
    return Evaluated(
        paths,
        {info['img_id']: _truth(info['instances'], classes) for info in infos},
        boxes_by_image([r for r in results if r['score'] >= score_thr], names),
    )


def read_results(path: Path) -> list[dict[str, Any]]:
    """Read COCO results.

    Raises:
        RefusedValueError: It is not a list of boxes with scores.
    """
    results = _json(path)
    keys = {'image_id', 'category_id', 'bbox', 'score'}
    if not isinstance(results, list) or any(
        not isinstance(r, dict) or not keys <= r.keys() for r in results
    ):
        raise RefusedValueError(
            f"{str(path)!r} is not COCO's results of boxes: a list of dicts with "
            f'{", ".join(sorted(keys))}. CocoMetric writes them, NAME.bbox.json.'
        )
    return results


def boxes_by_image(
    entries: Sequence[Mapping[str, Any]], names: Mapping[int, str]
) -> dict[Any, list[Box]]:
    """Group annotations or results by image; an image without any has no boxes."""
    boxes: dict[Any, list[Box]] = defaultdict(list)
    for entry in entries:
        box = Box(tuple(entry['bbox']), names[entry['category_id']], entry.get('score'))
        boxes[entry['image_id']].append(box)
    return boxes


def _truth(instances: Sequence[Mapping[str, Any]], classes: Sequence[str]) -> list[Box]:
    boxes = []
    for instance in instances:
        x1, y1, x2, y2 = instance['bbox']
        label = classes[instance['bbox_label']]
        boxes.append(Box((x1, y1, x2 - x1, y2 - y1), label))
    return boxes


def _check_same(
    results: Sequence[Mapping[str, Any]],
    path: Path,
    names: Mapping[int, str],
    paths: Mapping[Any, Path],
    source: str,
) -> None:
    for key, known in (('category_id', names), ('image_id', paths)):
        foreign = sorted({r[key] for r in results} - set(known), key=str)
        if foreign:
            raise RefusedValueError(
                f'{str(path)!r} has {key} {", ".join(map(str, foreign[:5]))}, which '
                f'{source} does not have. Give the data that were evaluated.'
            )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise RefusedValueError(f'{str(path)!r} is not JSON: {error}.') from error
