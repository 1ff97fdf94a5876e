"""Opens trained models, from a run's folder or from a config and a checkpoint."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner
from torch import nn

from dropblock_mm import runs
from dropblock_mm.analysis.sites.stock_models import WEIGHTS, without
from dropblock_mm.analysis.trained.truth import Truth
from dropblock_mm.errors import RefusedFileError, RefusedValueError
from dropblock_mm.runs.checkpoints.resume import latest_checkpoint
from dropblock_mm.runs.checkpoints.safe_loading import (
    keep_loading_safe,
    read_checkpoint,
)
from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses
from dropblock_mm.runs.runner import turn_channels_last

_SHOWN = 3


@dataclass(frozen=True)
class ModelFiles:
    """What a model is opened from.

    Args:
        name: What it is called in figures.
        config: A path or 'package::path'.
        checkpoint: A local file.
    """

    name: str
    config: str
    checkpoint: str


@dataclass(frozen=True)
class TrainedModel:
    """A model with its weights, in eval mode.

    Args:
        files: Where it is from.
        cfg: Its config.
        model: The model.
        library: 'mmdet', 'mmseg' or 'mmpretrain', or what else the config is of.
        classes: Their names; empty if they are not known.
    """

    files: ModelFiles
    cfg: Config
    model: nn.Module
    library: str
    classes: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called in figures."""
        return self.files.name

    def look_up_names(self) -> None:
        """Have the names in its config looked up where it looks them up."""
        if self.library:
            init_default_scope(self.library)


def model_files(words: Sequence[str]) -> ModelFiles:
    """Read what followed ``--model``.

    Args:
        words: A run's folder, or a config and a checkpoint; then, optionally, a name.

    Raises:
        RefusedError: It is none of these, or the folder lacks one of the two.
    """
    first = Path(words[0]).expanduser()
    if first.is_dir():
        if len(words) > 2:
            raise RefusedValueError(
                f'--model {" ".join(words)}: expected a folder, and optionally a name.'
            )
        name = words[1] if len(words) == 2 else first.resolve().name
        return ModelFiles(name, _config_in(first), _checkpoint_in(first))
    if len(words) < 2:
        raise RefusedFileError(
            f'--model {words[0]!r} is no folder. Give the --work-dir of a training, or '
            'a config and a checkpoint.'
        )
    name = words[2] if len(words) == 3 else Path(words[1]).stem
    return ModelFiles(name, words[0], words[1])


def _config_in(folder: Path) -> str:
    found = sorted(folder.glob('*.py'), key=lambda path: path.stat().st_mtime)
    if not found:
        raise RefusedFileError(
            f'--model {str(folder)!r} holds no config (*.py). Give the --work-dir of a '
            'training, or a config and a checkpoint.'
        )
    return str(found[-1])


def _checkpoint_in(folder: Path) -> str:
    latest = latest_checkpoint(str(folder))
    if latest is None:
        raise RefusedFileError(
            f'--model {str(folder)!r} holds no checkpoint (*.pth). Train on, or give a '
            'config and a checkpoint.'
        )
    return latest


def check_names_differ(files: Sequence[ModelFiles]) -> None:
    """Refuse two models of one name, which no figure could tell apart."""
    names = [file.name for file in files]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RefusedValueError(
            f'two models are called {twice[0]!r}. Give each a name of its own: '
            '--model FOLDER NAME, or --model CONFIG CHECKPOINT NAME.'
        )


def open_model(files: ModelFiles, options: Mapping[str, Any]) -> TrainedModel:
    """Build a model and load its weights.

    Args:
        files: Config and checkpoint.
        options: Changes to the config, from ``--cfg-options``.

    Raises:
        RefusedError: One of them cannot be read, or they do not belong together.
    """
    keep_loading_safe()
    cfg = runs.load_config(files.config, options)
    runs.prepare_library(cfg)
    runs.require(cfg, 'model')
    if cfg.get('default_scope'):
        init_default_scope(cfg.default_scope)
    cfg.model = runs.whole_model(cfg)
    turn_channels_last(cfg)
    said = f'checkpoint {files.checkpoint!r}'
    read_checkpoint(files.checkpoint, said)
    content = torch.load(files.checkpoint, map_location='cpu', weights_only=True)
    with refusing_what_mmengine_refuses(cfg):
        plain = Config({'model': without(cfg.model.to_dict(), WEIGHTS)})
        model = MODELS.build(plain.model)
    load_weights(model, weights_of(content), said, files.config)
    meta = content.get('meta') if isinstance(content, Mapping) else None
    known = (meta or {}).get('dataset_meta') or {}
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    return TrainedModel(
        files,
        cfg,
        model.to(device).eval(),
        runs.library_of(cfg),
        tuple(map(str, known.get('classes') or ())),
    )


def weights_of(content: Any) -> dict[str, torch.Tensor]:
    """Return the weights in a checkpoint, of a wrapped model or not."""
    weights = content.get('state_dict', content) if isinstance(content, Mapping) else {}
    return {
        key.removeprefix('module.'): value
        for key, value in weights.items()
        if isinstance(value, torch.Tensor)
    }


def load_weights(
    model: nn.Module, weights: Mapping[str, torch.Tensor], said: str, config: str
) -> None:
    """Load weights that are all there and all fit.

    Raises:
        RefusedValueError: They are of another model.
    """
    own = model.state_dict()
    absent = [key for key in own if key not in weights]
    misfits = [
        f'{key} {list(weights[key].shape)} for {list(own[key].shape)}'
        for key in own
        if key in weights and weights[key].shape != own[key].shape
    ]
    if absent or misfits:
        told = [f'no {key}' for key in absent[:_SHOWN]] + misfits[:_SHOWN]
        raise RefusedValueError(
            f'{said} is of another model than {config!r}: {len(absent)} of '
            f'{len(own)} tensors are absent and {len(misfits)} have another shape '
            f'({"; ".join(told)}). Give the config that it was trained with.'
        )
    model.load_state_dict(dict(weights), strict=False)


def find_layer(model: nn.Module, name: str) -> nn.Module:
    """Return a module by its path.

    Raises:
        RefusedValueError: There is none; the message has near matches.
    """
    modules = dict(model.named_modules())
    if name and name in modules:
        return modules[name]
    near = difflib.get_close_matches(name, [m for m in modules if m], n=3, cutoff=0.5)
    hint = f'Did you mean {" or ".join(map(repr, near))}?' if near else ''
    raise RefusedValueError(
        f'--layer {name!r} is no module of the model. {hint or "Its children are "}'
        + ('' if near else ', '.join(n for n, _ in model.named_children()))
    )


def build_test_loader(trained: TrainedModel) -> Any:
    """Build the loader of a model's test data, in this process, in order.

    Raises:
        RefusedError: The config has no test data.
    """
    runs.require(trained.cfg, 'test_dataloader')
    trained.look_up_names()
    loader = copy.deepcopy(trained.cfg.test_dataloader)
    loader.num_workers, loader.persistent_workers = 0, False
    loader.pop('prefetch_factor', None)
    with refusing_what_mmengine_refuses(trained.cfg):
        return Runner.build_dataloader(loader, seed=0)


def class_named(trained: TrainedModel, name: str) -> Truth:
    """Return a class as a target, by its name or number.

    Raises:
        RefusedValueError: There is no such class; the message has near matches.
    """
    if name in trained.classes:
        return Truth(trained.classes.index(name))
    if name.isdecimal() and not trained.classes:
        return Truth(int(name))
    near = difflib.get_close_matches(name, trained.classes, n=3, cutoff=0.5)
    hint = f'Did you mean {" or ".join(map(repr, near))}?' if near else ''
    known = ', '.join(trained.classes) or 'none that the checkpoint names'
    hint = hint or f'There are: {known}.'
    raise RefusedValueError(f'--class {name!r} is no class of {trained.name}. {hint}')
