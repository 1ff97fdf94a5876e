"""Makes a run shorter, or so small that it takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config, ConfigDict

from dropblock_mm.errors import RefusedError
from dropblock_mm.reproduction.data import LOOPS, NUM_DIGITS
from dropblock_mm.reproduction.image_folders import few_of
from dropblock_mm.runs.nested_datasets import innermost
from dropblock_mm.runs.type_names import type_name

SMOKE = (
    'A narrow model (an eighth of the channels, random weights), at most 8 images of '
    'about 128 pixels, 2 epochs. Such numbers say nothing about accuracy; they show '
    'that every step works.'
)
SIDE = 128  # pixels
IMAGES = 8
EPOCHS = 2
BATCH = 2
NARROWER = 8
# 'shape' is the side of Cutout's square; 'image_size' is that of a head whose
# auxiliary classifier convolves whole maps.
_SIZES = ('scale', 'scales', 'crop_size', 'size', 'img_scale', 'shape', 'image_size')
_EPOCHS = ('begin', 'end', 'T_max')
# What a detector trained for seconds would filter: it is sure of nothing.
_TEST_CFG = {'score_thr': 0.0, 'nms_pre': 20, 'max_per_img': 10}


def shorten(cfg: Config, epochs: int) -> None:
    """Train for another number of epochs, the learning rates in proportion.

    Args:
        cfg: Changed in place.
        epochs: At least 1.

    Raises:
        RefusedError: The config counts iterations.
    """
    before = cfg.train_cfg.get('max_epochs')
    if not before:
        raise RefusedError(
            f'--epochs {epochs} needs train_cfg.max_epochs, and this config counts '
            'iterations. Use --cfg-options train_cfg.max_iters=N.'
        )
    factor = epochs / before
    cfg.train_cfg.max_epochs = epochs
    schedulers: Any = cfg.get('param_scheduler') or []
    schedulers = [schedulers] if isinstance(schedulers, dict) else schedulers
    for scheduler in schedulers:
        for key in _EPOCHS:
            if scheduler.get(key):
                scheduler[key] = max(1, round(scheduler[key] * factor))
        if 'milestones' in scheduler:
            scheduler['milestones'] = [
                round(m * factor) for m in scheduler['milestones']
            ]


def shrink(cfg: Config) -> None:
    """Make a run that takes seconds on a CPU, along the same code path.

    Args:
        cfg: Changed in place.
    """
    _narrow(cfg.model)
    for part in parts(cfg.model):
        _forget_weights(part)
    test_cfg = cfg.model.get('test_cfg') or {}
    test_cfg.update({key: n for key, n in _TEST_CFG.items() if key in test_cfg})
    _shrink_images(cfg)
    for loop in LOOPS:
        _few_images(cfg[f'{loop}_dataloader'], BATCH if loop == 'train' else None)
    shorten(cfg, EPOCHS)
    cfg.train_cfg.val_interval = EPOCHS
    cfg.default_hooks.checkpoint.interval = 1
    cfg.default_hooks.logger.interval = 1


def parts(config: Any) -> Iterator[ConfigDict]:
    """Find every dict in a config."""
    if isinstance(config, dict):
        yield config
        config = list(config.values())
    if isinstance(config, (list, tuple)):
        for inner in config:
            yield from parts(inner)


def _narrow(model: Any) -> None:
    """Divide the channels of backbone, neck and heads."""
    for name, part in model.items():
        if name == 'backbone':
            base = part.get('base_channels', 64) // NARROWER
            part.base_channels = part.stem_channels = base
            continue
        for inner in parts(part):
            for key in inner:
                if key.endswith('channels'):
                    inner[key] = _divided(inner[key])


def _divided(channels: Any) -> Any:
    if isinstance(channels, (list, tuple)):
        return [_divided(number) for number in channels]
    return channels // NARROWER if isinstance(channels, int) else channels


def _forget_weights(part: ConfigDict) -> None:
    """No pretrained weights: they are of another size."""
    if isinstance(part.get('pretrained'), str):
        part.pretrained = None
    init_cfg = part.get('init_cfg')
    if isinstance(init_cfg, dict) and type_name(init_cfg).startswith('Pretrained'):
        part.init_cfg = None


def _shrink_images(cfg: Config) -> None:
    """Scale every size of images, so that those of the test are small."""
    pipelines = [
        dataset.pipeline
        for loop in LOOPS
        for dataset in innermost(cfg[f'{loop}_dataloader'])
    ]
    test = [part[key] for part in parts(pipelines[-1]) for key in _SIZES if key in part]
    factor = min(1.0, SIDE / min(_numbers(test), default=SIDE))
    model = [cfg.model.get(key) for key in ('data_preprocessor', 'test_cfg', 'head')]
    for holder in [*pipelines, *model]:
        for part in parts(holder):
            for key in _SIZES:
                if part.get(key) is not None:
                    part[key] = _scaled(part[key], factor)


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, (list, tuple)):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, int):
        yield value


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_scaled(inner, factor) for inner in value)
    return round(value * factor) if isinstance(value, int) else value


def _few_images(loader: Any, batch_size: int | None) -> None:
    loader.num_workers = 0
    loader.persistent_workers = False
    if batch_size:
        loader.batch_size = batch_size
    for dataset in innermost(loader):
        dataset.indices = few_of(dataset, IMAGES, NUM_DIGITS)
