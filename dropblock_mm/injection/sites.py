"""Where DropBlock can go: structural rules, one small adapter per kind of block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from dropblock_mm.injection.targets import Target, child_path, match_modules
from dropblock_mm.models.layers import DropBlock2d

# DropBlock commutes with activations for which f(a * x) = a * f(x), a >= 0.
_COMMUTING_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity)


@dataclass(frozen=True)
class Place:
    """A spot in a block where the output of a module is to be dropped.

    Args:
        owner: The residual block or conv-norm-activation unit. The layer becomes
            its child, never a norm's: ``norm_eval`` would switch it off.
        name: Such as 'shortcut' or 'conv2'.
        kind: 'shortcut' or 'conv'.
        after: Module whose output is dropped. None if nothing computes it (an
            identity shortcut); then the layer itself fills ``slot``.
        slot: Attribute of the owner that is None and that the layer fills.
    """

    owner: nn.Module
    name: str
    kind: str
    after: nn.Module | None = None
    slot: str | None = None

    @property
    def child_name(self) -> str:
        """The name of the layer among the owner's children."""
        return self.slot or f'drop_block_{self.name}'


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


def find_places(model: nn.Module, target: Target) -> list[tuple[str, Place]]:
    """Return (dotted path of the owner, place) for every place a target names.

    Raises:
        ValueError: If the target names no module, or none with such a place.
    """
    matches = match_modules(model, target)
    found: dict[tuple[int, str], tuple[str, Place]] = {}
    for prefix, module in matches.items():
        for path, place in _walk(module, prefix):
            if place.kind in target.kinds:
                found.setdefault((id(place.owner), place.name), (path, place))
    if not found:
        names = [f'{name} ({type(m).__name__})' for name, m in matches.items()]
        raise ValueError(
            f'{target.key}.module={target.module!r} with where={target.where!r} names '
            f'{", ".join(names[:5])}, which has no site for DropBlock: sites are '
            'residual blocks and conv-norm-activation units (ConvModule). Name a '
            'module that contains some.'
        )
    return list(found.values())


def residual_block_places(block: Any) -> list[Place] | None:
    """Places of mmdet's and mmseg's BasicBlock and Bottleneck.

    After the norm of each convolution (before the ReLU, with which DropBlock
    commutes) and on the skip connection: on the identity, or on the output of
    the projection's last module.
    """
    norms = {f'conv{i}': getattr(block, f'norm{i}', None) for i in (1, 2, 3)}
    if not hasattr(block, 'downsample') or norms['conv1'] is None:
        return None
    shortcut = (
        Place(block, 'shortcut', 'shortcut', slot='downsample')
        if block.downsample is None or isinstance(block.downsample, DropBlock2d)
        else Place(block, 'shortcut', 'shortcut', after=block.downsample)
    )
    convs = [
        Place(block, name, 'conv', after=norm)
        for name, norm in norms.items()
        if isinstance(norm, nn.Module)
    ]
    return [shortcut, *convs]


def conv_module_places(unit: Any) -> list[Place] | None:
    """Place of mmcv's ConvModule: after its norm, or after the whole unit.

    The place after the norm keeps one activation less alive; it is right only
    where the activation comes last and commutes with DropBlock.
    """
    if not all(hasattr(unit, name) for name in ('conv', 'with_norm', 'order')):
        return None
    activation = getattr(unit, 'activate', None) if unit.with_activation else None
    after_norm = (
        unit.with_norm
        and tuple(unit.order) == ('conv', 'norm', 'act')
        and (activation is None or isinstance(activation, _COMMUTING_ACTIVATIONS))
    )
    after = unit.norm if after_norm else unit
    return [Place(unit, 'conv', 'conv', after=after)]


ADAPTERS: tuple[Callable[[nn.Module], list[Place] | None], ...] = (
    residual_block_places,
    conv_module_places,
)


def places_of(module: nn.Module) -> list[Place] | None:
    """Return a block's places by the first adapter that knows it, else None."""
    for adapter in ADAPTERS:
        places = adapter(module)
        if places is not None:
            return places
    return None


def _walk(module: nn.Module, path: str) -> Iterator[tuple[str, Place]]:
    """Yield the places beneath a module; what a block holds inside is its own."""
    places = places_of(module)
    if places is not None:
        yield from ((path, place) for place in places)
        return
    for name, child in module.named_children():
        yield from _walk(child, child_path(module, name, path))
