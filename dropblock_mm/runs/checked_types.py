"""Checks hooks, and names of what a Runner builds, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, OPTIMIZERS, PARAM_SCHEDULERS, Registry

from dropblock_mm.errors import RefusedTypeError, RefusedValueError
from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses
from dropblock_mm.runs.registered_names import near_names

_EXAMPLE = "dict(type='EMAHook')"


def check_form_of_hooks(cfg: Config) -> None:
    """Refuse hooks that are not written as hooks are.

    Raises:
        RefusedTypeError: ``custom_hooks`` is not a list of dicts, or ``default_hooks``
            not a dict of them.
        RefusedValueError: One of them has no type.
    """
    custom, default = cfg.get('custom_hooks'), cfg.get('default_hooks')
    if custom is not None and not isinstance(custom, (list, tuple)):
        raise RefusedTypeError(
            f'custom_hooks={_shown(custom)} is not a list of hooks. Write a list: '
            f'custom_hooks=[{_EXAMPLE}]. The command line changes what is there: '
            '--cfg-options custom_hooks.0.KEY=VALUE.'
        )
    if default is not None and not isinstance(default, Mapping):
        raise RefusedTypeError(
            f'default_hooks={_shown(default)} is not a dict of hooks. Write a dict: '
            "default_hooks=dict(logger=dict(type='LoggerHook')). The command line "
            'changes what is there: --cfg-options default_hooks.logger.KEY=VALUE.'
        )
    for key, hook in _hooks(cfg):
        _check_form(key, hook)


def _hooks(cfg: Config) -> Iterator[tuple[str, Any]]:
    """Every hook under its key; None switches one of MMEngine's own off."""
    for index, hook in enumerate(cfg.get('custom_hooks') or ()):
        yield f'custom_hooks.{index}', hook
    for name, hook in (cfg.get('default_hooks') or {}).items():
        if hook is not None:
            yield f'default_hooks.{name}', hook


def _check_form(key: str, hook: Any) -> None:
    if isinstance(hook, Hook):  # of a config that a script made
        return
    if not isinstance(hook, Mapping):
        raise RefusedTypeError(
            f'{key}={_shown(hook)} is not a hook. Write a dict with its type, such as '
            f'{_EXAMPLE}'
            + (', or None to leave it out.' if key.startswith('default') else '.')
        )
    if not hook.get('type'):
        raise RefusedValueError(
            f'{key}={_shown(hook)} does not say its type. Write a dict such as '
            f'{_EXAMPLE}.'
        )


def check_registered(cfg: Config) -> None:
    """Refuse types that nobody registered, with those that may be meant.

    Of what a Runner builds itself; a model's parts are refused when it is built.

    Args:
        cfg (Config): The library of its ``default_scope`` is there.

    Raises:
        RefusedValueError: For the first such type.
    """
    scope = cfg.get('default_scope')
    for key, part, registry in _typed_parts(cfg):
        kind = part.get('type') if isinstance(part, Mapping) else None
        if isinstance(kind, str) and not _is_registered(kind, registry, scope):
            near = near_names(kind, registry, scope or 'mmengine')
            raise RefusedValueError(
                f'{key}.type={kind!r} names no {registry.name} that is registered. '
                + (
                    f'Write type={" or type=".join(map(repr, near))}.'
                    if near
                    else 'Correct it, or import what registers it: custom_imports='
                    "dict(imports=['my.module'])."
                )
            )


def _typed_parts(cfg: Config) -> Iterator[tuple[str, Any, Registry]]:
    for key, hook in _hooks(cfg):
        yield key, hook, HOOKS
    wrapper = cfg.get('optim_wrapper')
    if isinstance(wrapper, Mapping):
        yield 'optim_wrapper.optimizer', wrapper.get('optimizer'), OPTIMIZERS
    schedulers = cfg.get('param_scheduler')
    yield 'param_scheduler', schedulers, PARAM_SCHEDULERS
    for index, part in enumerate(schedulers if isinstance(schedulers, list) else ()):
        yield f'param_scheduler.{index}', part, PARAM_SCHEDULERS


def _is_registered(kind: str, root: Registry, scope: str | None) -> bool:
    with (
        refusing_what_mmengine_refuses(),
        root.switch_scope_and_registry(scope) as registry,
    ):
        try:
            return registry.get(kind) is not None
        except RuntimeError:  # 'Failed to get ...', of a name with dots
            return False


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
