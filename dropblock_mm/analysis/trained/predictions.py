"""Predictions of trained models, by the inferencers of their libraries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.registry import init_default_scope
from PIL import Image

from dropblock_mm import runs
from dropblock_mm.analysis.trained.models import ModelFiles, open_model
from dropblock_mm.errors import RefusedFileError, RefusedValueError
from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
from dropblock_mm.runs.nested_datasets import innermost
from dropblock_mm.runs.type_names import name_readers

IMAGES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')


@dataclass(frozen=True)
class Prediction:
    """What a model says of an image.

    Args:
        path: The image.
        drawn: UInt8Array[H, W, 3], the image with the prediction on it, or its file.
        found: In plain values: boxes, a class, or shares of classes.
        told: In a line.
    """

    path: str
    drawn: np.ndarray | Path
    found: dict[str, Any]
    told: str


def image_files(paths: Sequence[Path]) -> list[Path]:
    """List images; of folders those in them.

    Raises:
        RefusedFileError: A file cannot be read as an image, or a folder has none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGES)
            if not inside:
                raise RefusedFileError(f'{str(path)!r} holds no images.')
            found += inside
        else:
            found.append(path)
    for path in found:
        try:
            with Image.open(path) as image:
                image.verify()
        except (OSError, SyntaxError) as error:
            raise RefusedFileError(
                f'{str(path)!r} cannot be read as an image: {error}.'
            ) from error
    return found


def predictor(
    files: ModelFiles, options: dict[str, Any], score_thr: float
) -> Callable[[Path], Prediction]:
    """Return a function that predicts on an image, by the library's own inferencer.

    Args:
        files: Config and checkpoint, of mmdet, mmseg or mmpretrain.
        options: Changes to the config.
        score_thr: Boxes with a lower score are left out.

    Raises:
        RefusedError: The files do not fit, or are of no such library.
    """
    keep_loading_safe()
    # Opened here first: what does not fit is an error, where inferencers warn.
    trained = open_model(files, options)
    ways = {'mmdet': _detector, 'mmseg': _segmentor, 'mmpretrain': _classifier}
    if trained.library not in ways:
        raise RefusedValueError(
            f'{files.config} is of {trained.library or "no library"}, and there are '
            f'inferencers of {", ".join(ways)}.'
        )
    cfg = runs.load_config(files.config, options)
    runs.require(cfg, 'test_dataloader')
    # Inferencers look for the pipeline in the outermost data set, and for no more.
    cfg.test_dataloader.dataset = next(innermost(cfg.test_dataloader))
    name_readers(cfg.test_dataloader, trained.library)
    init_default_scope(trained.library)
    return ways[trained.library](cfg, files.checkpoint, trained.classes, score_thr)


def _detector(
    cfg: Any, checkpoint: str, classes: Sequence[str], score_thr: float
) -> Callable[[Path], Prediction]:
    from mmdet.apis import DetInferencer

    infer = DetInferencer(cfg, checkpoint, show_progress=False)

    def predict(path: Path) -> Prediction:
        out = infer(str(path), return_vis=True, pred_score_thr=score_thr)
        boxes = out['predictions'][0]
        kept = [i for i, score in enumerate(boxes['scores']) if score >= score_thr]
        found = {key: [boxes[key][i] for i in kept] for key in _BOX_KEYS}
        names = [_name(classes, label) for label in found['labels']]
        shown = [f'{n} {s:.2f}' for n, s in zip(names, found['scores'], strict=True)]
        told = ', '.join(shown[:5]) or 'nothing'
        return Prediction(str(path), out['visualization'][0], found, told)

    return predict


_BOX_KEYS = ('labels', 'scores', 'bboxes')


def _segmentor(
    cfg: Any, checkpoint: str, classes: Sequence[str], score_thr: float
) -> Callable[[Path], Prediction]:
    from mmseg.apis import MMSegInferencer

    infer = MMSegInferencer(cfg, checkpoint)
    infer.show_progress = False

    def predict(path: Path) -> Prediction:
        out = infer(str(path), return_vis=True)
        labels = np.asarray(out['predictions'])
        counts = np.bincount(labels.ravel().astype(int))
        shares = {
            _name(classes, label): float(count / labels.size)
            for label, count in enumerate(counts)
            if count
        }
        ordered = sorted(shares.items(), key=lambda pair: -pair[1])
        told = ', '.join(f'{name} {share:.0%}' for name, share in ordered[:5])
        return Prediction(str(path), out['visualization'], {'shares': shares}, told)

    return predict


def _classifier(
    cfg: Any, checkpoint: str, classes: Sequence[str], score_thr: float
) -> Callable[[Path], Prediction]:
    from mmpretrain.apis import ImageClassificationInferencer

    infer = ImageClassificationInferencer(cfg, pretrained=checkpoint)

    def predict(path: Path) -> Prediction:
        out = infer(str(path))[0]
        name = out.get('pred_class') or _name(classes, out['pred_label'])
        score = float(out['pred_score'])
        with Image.open(path) as image:
            drawn = np.asarray(image.convert('RGB'))
        found = {'label': int(out['pred_label']), 'class': name, 'score': score}
        return Prediction(str(path), drawn, found, f'{name} {score:.2f}')

    return predict


def _name(classes: Sequence[str], label: int) -> str:
    return classes[label] if label < len(classes) else f'class {label}'
