"""The kinds of block that are known, and the places that a walk over a model finds.

An adapter takes a module and returns the module's own places, or None if it is of
another kind. What the module holds inside is asked in turn. An empty list keeps
layers out of the module, with everything in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar

from torch import nn

from dropblock_mm.errors import RefusedTypeError
from dropblock_mm.injection.adapters.blocks import (
    conv_module,
    conv_norm_sequence,
    conv_norm_unit,
    gate,
    residual_block,
)
from dropblock_mm.injection.adapters.cells import cell
from dropblock_mm.injection.adapters.networks import (
    csp_layer,
    darknet_block,
    split_attention,
    stem_of_tokens,
)
from dropblock_mm.injection.adapters.sums import block_with_sum
from dropblock_mm.injection.places import Place, parts_of

Adapter = Callable[[Any], list[Place] | None]
_AdapterType = TypeVar('_AdapterType', bound=Adapter)

# In the order in which they are asked.
ADAPTERS: tuple[Adapter, ...] = (
    gate,
    stem_of_tokens,
    cell,
    conv_module,
    conv_norm_unit,
    conv_norm_sequence,
    split_attention,
    csp_layer,
    darknet_block,
    residual_block,
    block_with_sum,
)
_REGISTERED: dict[type[nn.Module], Adapter] = {}
# Attributes under which wrappers hold the model they wrap: activation
# checkpointing, FSDP and torch.compile insert them into the dotted path.
_WRAPPER_ATTRIBUTES = (
    '_checkpoint_wrapped_module',
    '_fsdp_wrapped_module',
    '_orig_mod',
)
_PARALLEL_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def register_block_adapter(
    block_type: type[nn.Module],
) -> Callable[[_AdapterType], _AdapterType]:
    """Teach injection where DropBlock belongs in a block of yours (decorator).

    The function gets a block of this type and returns its places. It goes before
    the built-in rules. What is inside the block is searched as usual, so ConvModules
    need no mention. An empty list keeps DropBlock out of the block, and None leaves
    it to the built-in rules.

    Args:
        block_type: The class of the block. Derived classes count too.

    Returns:
        Callable: The decorator, which returns the function as it is.

    Raises:
        TypeError: If ``block_type`` is not a subclass of ``torch.nn.Module``.

    Examples:
        >>> from dropblock_mm.injection import Place
        >>> class Block(nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.weigh, self.scale = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        ...     def forward(self, x):
        ...         return x + self.scale(self.weigh(x))
        >>> @register_block_adapter(Block)
        ... def places_of_block(block):
        ...     return [Place(block, 'shortcut', 'shortcut', adds_input=True),
        ...             Place(block, 'weigh', after=block.scale)]
        >>> [place.name for place in places_of(Block())]
        ['shortcut', 'weigh']
    """
    if not (isinstance(block_type, type) and issubclass(block_type, nn.Module)):
        raise RefusedTypeError(
            f'register_block_adapter({block_type!r}): not a subclass of '
            'torch.nn.Module. Write @register_block_adapter(MyBlock) above the '
            'function that returns the places of a MyBlock.'
        )

    def register(adapter: _AdapterType) -> _AdapterType:
        _REGISTERED[block_type] = adapter
        return adapter

    return register


def places_of(module: nn.Module) -> list[Place] | None:
    """Return a module's own places by the first adapter that knows it, else None."""
    registered = (_REGISTERED.get(kind) for kind in type(module).__mro__)
    for adapter in [*filter(None, registered), *ADAPTERS]:
        places = adapter(module)
        if places is not None:
            return places
    return None


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


def is_beneath(path: str, names: Collection[str]) -> bool:
    """Tell whether a dotted path is one of some names, or beneath one."""
    return any(name in names for name in [path, *above(path)])


def above(path: str) -> list[str]:
    """Return the paths above a dotted path, the nearest first, '' last."""
    parts = path.split('.') if path else []
    return ['.'.join(parts[:length]) for length in reversed(range(len(parts)))]
