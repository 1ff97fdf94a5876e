"""Layers by the names that targets give them, and what a new class gets for one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.ops.arguments import names_unknown_arguments

if TYPE_CHECKING:
    from dropblock_mm.layers.scheduled_drop import ScheduledDrop

# Every regulariser by its name, as `layer=...` of a target names it.
LAYERS: dict[str, type[ScheduledDrop]] = {}


def introduce(layer: type[ScheduledDrop]) -> None:
    """Make a class known that was just defined, and see to its constructor.

    That answers names that it does not take. A class whose name begins with an
    underscore is a base for others.

    Raises:
        ValueError: If it has the name of a layer of this package.
    """
    known = LAYERS.get(layer.__name__)
    if known is not None and _is_ours(known) and not _is_ours(layer):
        raise RefusedValueError(
            f'{layer.__name__!r} is the name of a layer of dropblock_mm, and targets '
            'name layers by it. Give your class another name.'
        )
    if not layer.__name__.startswith('_'):
        LAYERS[layer.__name__] = layer
    own = vars(layer).get('__init__')
    if own is not None and _takes_known_names(own):
        layer.__init__ = names_unknown_arguments(own)  # type: ignore[method-assign]
    # TorchScript compiles every property that is not named here.
    layer.__jit_unused_properties__ = [
        name
        for kind in layer.__mro__
        for name, value in vars(kind).items()
        if isinstance(value, property)
    ]


def _is_ours(layer: type) -> bool:
    return layer.__module__.startswith('dropblock_mm.')


def _takes_known_names(init: Callable[..., Any]) -> bool:
    """Tell a constructor without ``*args`` and ``**kwargs``, and not decorated yet."""
    kinds = {p.kind for p in inspect.signature(init).parameters.values()}
    any_names = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return not (kinds & any_names or hasattr(init, '__wrapped__'))
