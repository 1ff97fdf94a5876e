"""Where DropBlock belongs in a block: one small adapter per kind of block.

An adapter takes a module and returns the module's own places, or None if it is of
another kind. What the module holds inside is asked in turn. An empty list keeps
DropBlock out of the module, with everything in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from dropblock_mm.errors import RefusedTypeError
from dropblock_mm.injection.adapters.cells import cell
from dropblock_mm.injection.adapters.residual_blocks import (
    csp_layer,
    darknet_block,
    residual_block,
)
from dropblock_mm.injection.adapters.sums import block_with_sum
from dropblock_mm.injection.adapters.units import (
    conv_module,
    conv_norm_sequence,
    conv_norm_unit,
    gate,
    split_attention,
    stem_of_tokens,
)
from dropblock_mm.injection.places import Place

Adapter = Callable[[Any], list[Place] | None]
_AdapterType = TypeVar('_AdapterType', bound=Adapter)

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
