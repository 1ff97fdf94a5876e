"""All places of a model, found from the top."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torch import nn

from dropblock_mm.injection.adapters.registry import places_of
from dropblock_mm.injection.places import Place
from dropblock_mm.injection.targets import child_path


def walk(model: nn.Module) -> Iterator[tuple[str, Place]]:
    """Yield (dotted path of the owner, place) for every place of a model, once."""
    yield from _walk(model, '', set())


def _walk(
    module: nn.Module, path: str, claimed: set[tuple[int, str]]
) -> Iterator[tuple[str, Place]]:
    """Yield places; a module whose output is one is not looked into any more."""
    places = places_of(module)
    if places == []:
        return
    children = [
        (child, child_path(module, name, path))
        for name, child in module.named_children()
    ]
    paths = {id(child): below for child, below in children}
    for place in places or []:
        if place.key not in claimed:
            claimed.add(place.key)
            yield paths.get(id(place.owner), path), place
    stem = stem_of(module)
    for child, below in children:
        if child not in stem and (id(child), '') not in claimed:
            yield from _walk(child, below, claimed)


def stem_of(network: nn.Module) -> list[nn.Module]:
    """Return what a ResNet has before its max pooling: it is in no residual block.

    Such as the ``stem`` of ResNetV1c and V1d, three convolutions in a Sequential.
    """
    names = [*network._modules]
    if not {'maxpool', 'layer1'} <= set(names):
        return []
    return [*network.children()][: names.index('maxpool')]


def is_beneath(path: str, names: Collection[str]) -> bool:
    """Tell whether a dotted path is one of some names, or beneath one."""
    return any(name in names for name in [path, *above(path)])


def above(path: str) -> list[str]:
    """Return the paths above a dotted path, the nearest first, '' last."""
    parts = path.split('.') if path else []
    return ['.'.join(parts[:length]) for length in reversed(range(len(parts)))]
