"""What users write under ``targets``: checked here, matched to modules here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import nn

from dropblock_mm.errors import RefusedTypeError, RefusedValueError
from dropblock_mm.ops.arguments import (
    check_block_size,
    check_flag,
    check_gamma_scale,
    check_keep_prob,
    reject_unknown,
)

PLACE_KINDS = ('shortcut', 'conv')

# Attributes under which wrappers hold the model they wrap: activation
# checkpointing, FSDP and torch.compile insert them into the dotted path.
_WRAPPER_ATTRIBUTES = (
    '_checkpoint_wrapped_module',
    '_fsdp_wrapped_module',
    '_orig_mod',
)
_PARALLEL_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


@dataclass(frozen=True)
class Target:
    """A part of the model and how DropBlock is to work in it.

    Args:
        module: Dotted path of a module ('backbone.layer3'), or a regular
            expression that matches whole paths ('backbone.layer[34]').
        where: 'conv' (after each conv-norm), 'shortcut' (on the skip connection
            of residual blocks) or 'both'.
        block_size: Side of the dropped square, in units of the feature map.
        keep_prob: Probability of keeping a unit, in [0, 1]; None leaves it to
            the schedule.
        gamma_scale: Factor on gamma (0.25 for the paper's group 3).
        calibrated: Solve for the gamma that exactly reaches keep_prob.
        shared_mask: Use one mask for all channels of an image.
        key: How messages call this target, such as 'targets[0]'.
    """

    module: str
    where: str = 'both'
    block_size: int = 7
    keep_prob: float | None = None
    gamma_scale: float = 1.0
    calibrated: bool = False
    shared_mask: bool = False
    key: str = 'target'

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of place that are wanted."""
        return PLACE_KINDS if self.where == 'both' else (self.where,)


def parse_targets(
    targets: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any]
) -> list[Target]:
    """Check the user's targets and the defaults they share.

    Args:
        targets: One mapping per target, with the keys of :class:`Target`; only
            ``module`` is required.
        defaults: Values for the keys that a target leaves out.

    Returns:
        list[Target]: As many as were given.

    Raises:
        TypeError: If something has a wrong type or an unknown key.
        ValueError: If there is no target or a value is outside its range.
    """
    if isinstance(targets, Mapping | str) or not isinstance(targets, Sequence):
        raise RefusedTypeError(
            f'targets={targets!r} is not a list. Give a list of dicts, for example '
            "targets=[dict(module='backbone.layer4')]."
        )
    if not targets:
        raise RefusedValueError(
            'targets=[] names no module. Give at least one, for example '
            "targets=[dict(module='backbone.layer4')]."
        )
    base = _checked(Target(module=''), defaults, prefix='')
    return [
        _parse_target(target, base, f'targets[{index}]')
        for index, target in enumerate(targets)
    ]


def named_modules(module: nn.Module, path: str = '') -> Iterator[tuple[str, nn.Module]]:
    """Yield (dotted path, module) with paths as the user knows them.

    A wrapper and what it wraps have the same path; the wrapped one comes last.
    """
    yield path, module
    for name, child in module.named_children():
        yield from named_modules(child, child_path(module, name, path))


def child_path(parent: nn.Module, name: str, path: str) -> str:
    """Return the path of a child, without the attributes of wrappers."""
    if name in _WRAPPER_ATTRIBUTES:
        return path
    if name == 'module' and isinstance(parent, _PARALLEL_WRAPPERS):
        return path
    return f'{path}.{name}' if path else name


def match_modules(model: nn.Module, target: Target) -> dict[str, nn.Module]:
    """Return the modules that a target names, by dotted path.

    Raises:
        ValueError: If it names none, or is not a regular expression.
    """
    modules = dict(named_modules(model))
    if target.module in modules:
        return {target.module: modules[target.module]}
    try:
        pattern = re.compile(target.module)
    except re.error as error:
        raise RefusedValueError(
            f'{target.key}.module={target.module!r} is neither the path of a module '
            f'nor a regular expression: {error}.'
        ) from error
    matches = {name: m for name, m in modules.items() if pattern.fullmatch(name)}
    if not matches:
        raise RefusedValueError(
            _no_match_message(target, modules, type(model).__name__)
        )
    return matches


def _parse_target(target: Any, base: Target, key: str) -> Target:
    if not isinstance(target, Mapping):
        raise RefusedTypeError(
            f"{key}={target!r} is not a dict. Write dict(module='backbone.layer4')."
        )
    known = [field.name for field in fields(Target) if field.name != 'key']
    reject_unknown(target, known, key)
    module = target.get('module')
    if not isinstance(module, str):
        raise RefusedTypeError(
            f'{key}.module={module!r} is not a string. Give the path of a module, '
            "such as 'backbone.layer4', or a regular expression for paths."
        )
    options = {name: value for name, value in target.items() if name != 'module'}
    return _checked(replace(base, module=module, key=key), options, prefix=f'{key}.')


def _checked(base: Target, options: Mapping[str, Any], prefix: str) -> Target:
    """Return ``base`` with ``options``, each checked under its full name."""
    checks: dict[str, Callable[[Any, str], Any]] = {
        'where': _check_where,
        'block_size': check_block_size,
        'keep_prob': _check_optional_keep_prob,
        'gamma_scale': check_gamma_scale,
        'calibrated': check_flag,
        'shared_mask': check_flag,
    }
    values = {
        name: checks[name](value, prefix + name) for name, value in options.items()
    }
    return replace(base, **values)


def _check_where(value: Any, name: str) -> str:
    if value not in (*PLACE_KINDS, 'both'):
        raise RefusedValueError(
            f"{name}={value!r} is not a place. Give 'conv' (after each conv-norm), "
            "'shortcut' (on the skip connections) or 'both'."
        )
    return value


def _check_optional_keep_prob(value: Any, name: str) -> float | None:
    return None if value is None else check_keep_prob(value, name)


def _no_match_message(
    target: Target, modules: Mapping[str, nn.Module], model_name: str
) -> str:
    # Cells of a deep path are noise next to the stages that users mean.
    names = sorted((name for name in modules if name), key=lambda n: n.count('.'))
    close = difflib.get_close_matches(target.module, names, n=5, cutoff=0.5)
    top_level = [name for name in names if '.' not in name]
    hint = (
        f'Near matches: {", ".join(close)}.'
        if close
        else f'Its parts are: {", ".join(top_level)}.'
    )
    return (
        f'{target.key}.module={target.module!r} matches no module of {model_name}. '
        f'{hint} Give the path of a module, or a regular expression that matches '
        'whole paths.'
    )
