"""Dotted paths of modules: as users write them, and what they match."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping

from torch import nn

from dropblock_mm.errors import RefusedValueError

# Attributes under which wrappers hold the model they wrap: activation
# checkpointing, FSDP and torch.compile insert them into the dotted path.
_WRAPPER_ATTRIBUTES = (
    '_checkpoint_wrapped_module',
    '_fsdp_wrapped_module',
    '_orig_mod',
)
_PARALLEL_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


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


def match_modules(model: nn.Module, named: str, key: str) -> dict[str, nn.Module]:
    """Return the modules that a target names, by dotted path.

    Args:
        model: The model.
        named: A dotted path, or a regular expression that matches whole paths.
        key: Where the user gave it, for messages.

    Raises:
        ValueError: If it names none, or is not a regular expression.
    """
    modules = dict(named_modules(model))
    if named in modules:
        return {named: modules[named]}
    try:
        pattern = re.compile(named)
    except re.error as error:
        raise RefusedValueError(
            f'{key}={named!r} is neither the path of a module '
            f'nor a regular expression: {error}.'
        ) from error
    matches = {name: m for name, m in modules.items() if pattern.fullmatch(name)}
    if not matches:
        raise RefusedValueError(
            _no_match_message(named, key, modules, type(model).__name__)
        )
    return matches


def is_beneath(path: str, names: Collection[str]) -> bool:
    """Tell whether a dotted path is one of some names, or beneath one."""
    return any(name in names for name in [path, *above(path)])


def above(path: str) -> list[str]:
    """Return the paths above a dotted path, the nearest first, '' last."""
    parts = path.split('.') if path else []
    return ['.'.join(parts[:length]) for length in reversed(range(len(parts)))]


def _no_match_message(
    named: str, key: str, modules: Mapping[str, nn.Module], model_name: str
) -> str:
    # Cells of a deep path are noise next to the stages that users mean.
    names = sorted((name for name in modules if name), key=lambda n: n.count('.'))
    close = difflib.get_close_matches(named, names, n=5, cutoff=0.5)
    top_level = [name for name in names if '.' not in name]
    hint = (
        f'Near matches: {", ".join(close)}.'
        if close
        else f'Its parts are: {", ".join(top_level)}.'
    )
    return (
        f'{key}={named!r} matches no module of {model_name}. '
        f'{hint} Give the path of a module, or a regular expression that matches '
        'whole paths.'
    )
