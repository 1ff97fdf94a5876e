"""Puts the config of a run together from a file and the command line."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dropblock_mm.errors import MissingPackageError, RefusedValueError
from dropblock_mm.runs.checked_types import check_form_of_hooks, check_registered
from dropblock_mm.runs.checkpoints.resume import latest_checkpoint
from dropblock_mm.runs.folders import check_work_dir
from dropblock_mm.runs.libraries import installed_by, tune
from dropblock_mm.runs.reading import read_config, refusing_unreadable_configs
from dropblock_mm.runs.type_names import (
    library_of,
    name_readers,
    name_suppressions,
    type_name,
)


def load_config(
    name: str,
    options: Mapping[str, Any] | None = None,
    extend: Callable[[Config], Config] | None = None,
) -> Config:
    """Read a config, then the command line's changes to it.

    Options that reach into ``custom_hooks`` come last and so reach added hooks too;
    all others come first, so that the defaults of what is added give way to them.

    Args:
        name (str): A path or 'package::path'.
        options (dict, optional): From ``--cfg-options``.
        extend (Callable, optional): Returns the config with more hooks.

    Returns:
        Config: All of it together.

    Raises:
        RefusedError: It cannot be read, an option does not fit it, or its hooks are
            not written as hooks are.
    """
    options = options or {}
    late = {k: v for k, v in options.items() if k.startswith('custom_hooks.')}
    cfg = read_config(name)
    merge_options(cfg, {k: v for k, v in options.items() if k not in late})
    if extend is not None:
        check_form_of_hooks(cfg)
        with refusing_unreadable_configs('what is added to it', content=()):
            cfg = extend(cfg)
    merge_options(cfg, late)
    check_form_of_hooks(cfg)
    name_suppressions(cfg.get('model'))
    for loop in ('train', 'val', 'test'):
        name_readers(cfg.get(f'{loop}_dataloader'), cfg.get('default_scope'))
    return cfg


def merge_options(
    cfg: Config, options: Mapping[str, Any], name: str = 'the config'
) -> None:
    """Merge one by one, so that an error can name the option.

    Args:
        cfg (Config): Gets what the options say.
        options (dict): From ``--cfg-options``.
        name (str): The config's, for messages.

    Raises:
        RefusedValueError: One of them does not fit.
    """
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError) as error:
            raise RefusedValueError(
                f'--cfg-options {key}={value!r} does not fit {name}: {error.args[0]}'
            ) from error
        except AttributeError as error:  # MMEngine merges dicts into lists alone
            raise RefusedValueError(
                f'--cfg-options {key}={value!r} does not fit {name}: a value in a list '
                'is not replaced. Give the whole list, or a key of a dict in it: '
                f'{key}.KEY=VALUE.'
            ) from error


def whole_model(cfg: Config) -> dict[str, Any]:
    """Return the model's config, with the preprocessor that may stand beside it.

    As MMEngine's runner puts them together: mmpretrain's configs have it there.
    """
    beside = cfg.get('data_preprocessor')
    return {**({'data_preprocessor': beside} if beside else {}), **cfg.model}


def require(cfg: Config, *keys: str) -> None:
    """Refuse a config that lacks what a command needs.

    Raises:
        ValueError: It lacks some of the keys, or sets them to None.
    """
    missing = [key for key in keys if cfg.get(key) is None]
    if missing:
        raise RefusedValueError(
            f'the config sets no {" and no ".join(missing)}. Add what is missing, or '
            'give another config.'
        )


def set_work_dir(cfg: Config, given: str | None, *names: str | None) -> None:
    """Decide on the work dir: command line, then config, then what is run.

    Args:
        cfg (Config): Gets its ``work_dir``.
        given (str, optional): From ``--work-dir``.
        *names: Config and, if any, fragment. A run with DropBlock must not share the
            folder of the one without: each would resume from the other.

    Raises:
        RefusedFileError: It cannot be a folder to write to.
    """
    stems = [Path(name.rpartition('::')[2]).stem for name in names if name]
    cfg.work_dir = given or cfg.get('work_dir') or f'./work_dirs/{"-".join(stems)}'
    check_work_dir(cfg)


def prepare_library(cfg: Config) -> None:
    """Check that the library of ``default_scope`` is there, and tune it as it does.

    What it registers is known then: hooks, optimizers and schedules that are not
    are refused.

    Raises:
        ModuleNotFoundError: It is not installed.
        ValueError: A type is not registered.
    """
    scope = library_of(cfg) or 'mmengine'
    if importlib.util.find_spec(scope) is None:
        raise MissingPackageError(
            f'default_scope={scope!r} of the config needs the package {scope}, which '
            f'is not installed. Install {installed_by(scope)}, or correct '
            'default_scope.'
        )
    tune(scope)
    check_registered(cfg)


def set_resume(cfg: Config, given: str | None) -> None:
    """Decide where training begins.

    Args:
        cfg (Config): Gets ``resume`` and ``load_from``; its ``work_dir`` is set.
        given (str, optional): From ``--resume``: a checkpoint, or 'auto' for the
            latest in the work dir. Where there is none yet, training starts as
            without ``--resume``, so that one command fits every attempt.
    """
    if given and given != 'auto':
        cfg.resume, cfg.load_from = True, given
    elif given or (cfg.get('resume') and not cfg.get('load_from')):
        latest = latest_checkpoint(cfg.work_dir)
        cfg.resume = latest is not None
        cfg.load_from = latest or cfg.get('load_from')


def save_whole_checkpoints(cfg: Config) -> None:
    """Have checkpoints written so that a killed run keeps one.

    Args:
        cfg (Config): Its ``default_hooks.checkpoint`` becomes this package's hook,
            unless it is switched off or of a class of its own.
    """
    hooks = cfg.get('default_hooks') or {}
    # Without one a Runner takes MMEngine's.
    hook = hooks.get('checkpoint', {'type': 'CheckpointHook', 'interval': 1})
    if hook and type_name(hook) == 'CheckpointHook':
        hook = {**hook, 'type': 'dropblock_mm.CheckpointHook'}
        cfg.default_hooks = {**hooks, 'checkpoint': hook}
