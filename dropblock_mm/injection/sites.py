"""The sites of a model: the places of its blocks that a target names."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.injection.places import Place
from dropblock_mm.injection.refusals import no_site_message
from dropblock_mm.injection.targets import Target, match_modules
from dropblock_mm.injection.walk import is_beneath, walk
from dropblock_mm.layers import DropBlock2d


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
        if place.kind in target.kinds and is_beneath(path, matches)
    ]
    if not found:
        raise RefusedValueError(no_site_message(model, target, matches))
    return found
