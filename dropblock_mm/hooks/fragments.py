"""Adds DropBlock to a config that knows nothing of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dropblock_mm.config_files import (
    FRAGMENTS,
    config_path,
    fragment_names,
    resolve_config,
)
from dropblock_mm.errors import RefusedFileError, RefusedValueError

_REGULAR = {
    'InjectionHook',
    'DropBlockInjectionHook',
    'KeepProbScheduleHook',
    'KeepRateHook',
}


def find_fragment(name: str) -> str:
    """Turn what followed ``--dropblock`` into a file.

    Args:
        name (str): A fragment's name, such as 'resnet_c4c5', or a file, or
            'package::path'.

    Returns:
        str: Path of the fragment.

    Raises:
        FileNotFoundError: There is none; the message lists the names.
    """
    known = fragment_names()
    if name in known:
        return config_path(f'{FRAGMENTS}/{name}.py')
    if '::' in name:
        return resolve_config(name)
    if Path(name).expanduser().is_file():
        return str(Path(name).expanduser())
    raise RefusedFileError(
        f'--dropblock {name!r} is neither a fragment nor a file. Give one of '
        f'{", ".join(known)}, or the path of a .py file that sets custom_hooks.'
    )


def with_fragment(name: str | None) -> Callable[[Config], Config] | None:
    """Return what adds a fragment to a config; None if there is none to add."""
    return None if name is None else partial(add_fragment, name=name)


def add_fragment(cfg: Config, name: str) -> Config:
    """Return ``cfg`` with a fragment's hooks after its own.

    What else the fragment sets, say ``randomness``, fills only what the config left
    open: the config is the user's, the fragment is a default.

    Args:
        cfg (Config): Any config; it is not changed.
        name (str): See :func:`find_fragment`.

    Returns:
        Config: A new config.

    Raises:
        FileNotFoundError: There is no such fragment.
        ValueError: The fragment adds no hooks.
    """
    path = find_fragment(name)
    fragment = Config.fromfile(path).to_dict()
    hooks = fragment.pop('custom_hooks', None)
    if not isinstance(hooks, list) or not hooks:
        raise RefusedValueError(
            f'--dropblock {name!r}: {path!r} adds nothing, its custom_hooks is '
            f'{hooks!r}. It must set custom_hooks = [dict(type=...), ...].'
        )
    merged = copy.deepcopy(cfg)
    merged.custom_hooks = [*(cfg.get('custom_hooks') or []), *hooks]
    _fill(merged, fragment)
    return merged


def _fill(own: Any, defaults: Mapping[str, Any]) -> None:
    """Write into ``own`` the part of ``defaults`` that it says nothing about."""
    for key, value in defaults.items():
        present = own.get(key)
        if present is None:
            own[key] = value
        elif isinstance(present, Mapping) and isinstance(value, Mapping):
            _fill_same_type(present, value)


def _fill_same_type(own: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Fill, unless the two are of different classes with arguments of their own."""
    if _bare_name(own) == (_bare_name(defaults) or _bare_name(own)):
        _fill(own, defaults)


def _bare_name(config: Mapping[str, Any]) -> str:
    """What a ``type`` is called; in pure-Python configs it is a class."""
    kind = config.get('type') or ''
    return getattr(kind, '__name__', str(kind)).rpartition('.')[2]


def uses_drop_block(cfg: Mapping[str, Any]) -> bool:
    """Tell whether one of the config's custom hooks is this package's."""
    hooks = cfg.get('custom_hooks') or []
    return any('dropblock_mm' in str(hook.get('type')) for hook in hooks)


def require_drop_block(cfg: Mapping[str, Any], name: str) -> None:
    """Refuse a config that drops nothing, of which there is nothing to draw.

    Args:
        cfg: With the fragment that was asked for, if any.
        name: As the user typed it.

    Raises:
        RefusedValueError: None of its hooks is this package's.
    """
    if not uses_drop_block(cfg):
        raise RefusedValueError(
            f'{name} has no DropBlock, and --dropblock names none: there is nothing to '
            'draw. Give --dropblock auto, for example.'
        )


def without_drop_block(cfg: Config) -> Config:
    """Return ``cfg`` without what this package's hooks add to the model.

    Args:
        cfg (Config): Any config; it is not changed.
    """
    plain = copy.deepcopy(cfg)
    hooks = cfg.get('custom_hooks') or []
    plain.custom_hooks = [hook for hook in hooks if _bare_name(hook) not in _REGULAR]
    return plain


def seed_ranks_apart(cfg: Config) -> Config:
    """Return ``cfg`` with another random seed on every GPU.

    MMEngine seeds all ranks alike, so that all would draw the same masks. Samplers
    still agree on one seed, so each rank keeps its own share of the data.

    Args:
        cfg (Config): Any config; it is not changed.

    Returns:
        Config: A new config; what it says of ``randomness.diff_rank_seed`` stands.
    """
    merged = copy.deepcopy(cfg)
    # The seed has no default in MMEngine; None draws one, the same for all ranks.
    _fill(merged, {'randomness': {'seed': None, 'diff_rank_seed': True}})
    return merged
