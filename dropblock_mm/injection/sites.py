"""The sites of a model: the places of its blocks that a target names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from dropblock_mm.injection.adapters.kinds import parts_of
from dropblock_mm.injection.adapters.registry import places_of
from dropblock_mm.injection.paths import child_path, is_beneath
from dropblock_mm.injection.places import Place
from dropblock_mm.injection.targets import Target
from dropblock_mm.injection.ways import Undo
from dropblock_mm.layers import ScheduledDrop


@dataclass(frozen=True)
class Site:
    """A place with its layer, as attached to a model.

    Args:
        module: Dotted path of the place's owner.
        place: The place.
        target: The target that asked for it.
        layer: The layer that works there.
        undo: Takes the layer out again.
    """

    module: str
    place: Place
    target: Target
    layer: ScheduledDrop
    undo: Undo

    @property
    def frozen(self) -> bool:
        """Whether the owner has parameters and none of them is trained."""
        parameters = list(self.place.owner.parameters())
        return bool(parameters) and not any(p.requires_grad for p in parameters)


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
