"""Walk a model: its modules by the paths that users write, and the places in them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping

from torch import nn
from torch.fx import GraphModule

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.injection.adapters.registry import places_of
from dropblock_mm.injection.places import Place, parts_of
from dropblock_mm.injection.targets import Target

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


def find_places(
    model: nn.Module, target: Target, matches: Mapping[str, nn.Module]
) -> list[tuple[str, Place]]:
    """Return (dotted path of the owner, place) for every place a target names.

    Where the places are does not depend on the target: it selects from those of the
    whole model.

    Args:
        model: The model.
        target: Says which kinds of place.
        matches: The modules that the target names, by dotted path.
    """
    return [
        (path, place)
        for path, place in walk(model)
        if place.kind in target.kinds and is_beneath(path, matches)
    ]


def refuse_traced(
    model: nn.Module, target: Target, matches: Mapping[str, nn.Module]
) -> None:
    """Raise if a target is in a traced graph, or has one in it.

    Raises:
        ValueError: There are no blocks in it, only the modules that they called.
    """
    for path, module in named_modules(model):
        concerns = is_beneath(path, matches) or any(
            is_beneath(name, [path]) for name in matches
        )
        if concerns and isinstance(module, GraphModule):
            raise RefusedValueError(
                f'{target.key}.module={target.module!r}: {path or "the model"} is a '
                'traced graph (torch.fx.GraphModule). It has no blocks any more: what '
                'was in their forward, such as the sum of a residual block, is in the '
                'graph, and containers such as a projection are not called, so sites '
                'cannot be seen. Inject before tracing; the layers are then traced '
                'with the model.'
            )


def walk(model: nn.Module) -> Iterator[tuple[str, Place]]:
    """Yield (dotted path of the owner, place) for every place of a model, once."""
    yield from _walk(model, '', set())


def _walk(
    module: nn.Module, path: str, claimed: set[tuple[int, str, bool]]
) -> Iterator[tuple[str, Place]]:
    """Yield places; a module whose output is one is not looked into any more."""
    places = places_of(module)
    if places == []:
        return
    children = [
        (child, child_path(module, name, path))
        for name, child in parts_of(module).items()
    ]
    paths = {id(child): below for child, below in children}
    for place in places or []:
        if place.key not in claimed:
            claimed.add(place.key)
            yield paths.get(id(place.owner), path), place
    stem = stem_of(module)
    for child, below in children:
        if child not in stem and (id(child), '', False) not in claimed:
            yield from _walk(child, below, claimed)


def stem_of(network: nn.Module) -> list[nn.Module]:
    """Return what a ResNet has before its max pooling: it is in no residual block.

    Such as the ``stem`` of ResNetV1c and V1d, three convolutions in a Sequential.
    """
    parts = parts_of(network)
    if not {'maxpool', 'layer1'} <= parts.keys():
        return []
    return [*parts.values()][: [*parts].index('maxpool')]


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
