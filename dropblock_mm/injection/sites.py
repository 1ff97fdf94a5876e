"""The sites of a model: the places of its blocks that a target names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from dropblock_mm.injection.adapters import places_of
from dropblock_mm.injection.places import Place
from dropblock_mm.injection.targets import Target, child_path, match_modules
from dropblock_mm.models.layers import DropBlock2d


@dataclass(frozen=True)
class Site:
    """A place with its layer, as attached to a model.

    Args:
        module: Dotted path of the place's owner.
        place: The place.
        target: The target that asked for it.
        layer: The layer that works there.
    """

    module: str
    place: Place
    target: Target
    layer: DropBlock2d

    @property
    def frozen(self) -> bool:
        """Whether the owner has parameters and none of them is trained."""
        parameters = list(self.place.owner.parameters())
        return bool(parameters) and not any(p.requires_grad for p in parameters)


def find_places(model: nn.Module, target: Target) -> list[tuple[str, Place]]:
    """Return (dotted path of the owner, place) for every place a target names.

    Where the places are does not depend on the target: it selects from those of the
    whole model.

    Raises:
        ValueError: If the target names no module, or none with such a place.
    """
    matches = match_modules(model, target)
    found = [
        (path, place)
        for path, place in walk(model)
        if place.kind in target.kinds and _is_beneath(path, matches)
    ]
    if not found:
        raise ValueError(_no_site_message(target, matches))
    return found


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
    for child, below in children:
        if (id(child), '') not in claimed:
            yield from _walk(child, below, claimed)


def _is_beneath(path: str, matches: Mapping[str, nn.Module]) -> bool:
    parts = path.split('.')
    above = ('.'.join(parts[:length]) for length in range(len(parts) + 1))
    return any(name in matches for name in above)


def _no_site_message(target: Target, matches: Mapping[str, nn.Module]) -> str:
    """Say that there is no site, and why, as far as the modules show it."""
    names = [
        f'{name or "the model"} ({type(m).__name__})' for name, m in matches.items()
    ]
    return (
        f'{target.key}.module={target.module!r} with where={target.where!r} names '
        f'{", ".join(names[:5])}, which has no site for DropBlock: '
        f'{why_no_site(matches.values())} Sites are residual blocks, '
        'conv-norm-activation units (ConvModule) and convolutions followed by a norm '
        'in a Sequential. Name a module that contains some, or teach injection your '
        'kind of block with dropblock_mm.register_block_adapter.'
    )


def why_no_site(modules: Iterable[nn.Module]) -> str:
    """Say why modules have no site, as far as their kinds show it.

    Returns:
        str: A sentence without a capital letter.
    """
    parts = {type(m).__name__ for module in modules for m in module.modules()}
    if not any('Conv' in name for name in parts):
        return 'it has no convolution.'
    if any('LayerNorm' in name for name in parts):
        return (
            'its norms are LayerNorm, of tokens or channels, as in transformers, '
            'and DropBlock drops squares of feature maps.'
        )
    return 'no convolution in it is followed by a norm.'
