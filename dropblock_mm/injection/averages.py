"""Copies that a model averages itself into, and that were made before an injection.

BYOL and MoCo keep such a copy inside the model. Their average pairs the buffers of
model and copy by order (mmengine 0.10.7, ``BaseAveragedModel.update_parameters``;
torch's ``AveragedModel`` does so too): a layer in one of the two shifts the pairs, and
norms of the copy get statistics of others, or keep_prob, mostly without an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import torch
from torch import nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.injection.places import Place
from dropblock_mm.injection.walk import named_modules


def _is_averaged(module: nn.Module) -> bool:
    """Tell what holds a copy whose weights follow those of its model."""
    copy = getattr(module, 'module', None)
    return hasattr(module, 'update_parameters') and isinstance(copy, nn.Module)


def _pairs_by_order(module: nn.Module) -> bool:
    """Tell such a copy whose buffers are those of its model, one after the other."""
    averaged = getattr(module, 'update_buffers', getattr(module, 'use_buffers', False))
    return _is_averaged(module) and not averaged


def paths_of_copies(model: nn.Module) -> list[str]:
    """Return the dotted paths of copies that a model averages itself into.

    No optimizer trains their weights, and yet they change: BYOL's and MoCo's momentum
    encoders run in training mode, so layers in them drop.
    """
    modules = dict(named_modules(model))
    averages = [path for path, module in modules.items() if _is_averaged(module)]
    return [f'{path}.module'.lstrip('.') for path in averages]


def refuse_half_of_a_pair(
    model: nn.Module, sites: Iterable[tuple[str, Place]], key: str
) -> None:
    """Refuse sites in a block that was copied, if its copy has none, and conversely.

    Args:
        model: The model.
        sites: What is to get a layer: dotted paths of blocks, and places in them.
        key: Where the user gave the targets, for messages.

    Raises:
        RefusedValueError: Of a block and its copy one alone gets layers.
    """
    planned = {(path, place.name) for path, place in sites}
    blocks = {path for path, _ in planned}
    pairs = list(_pairs(dict(named_modules(model))))
    for path, place in sorted(planned):
        for twin in _twins(path, pairs):
            if (twin, place) in planned:
                continue
            whose = f' ({place})' if twin in blocks else ''
            raise RefusedValueError(
                f'{key}: of {path} and {twin} one is averaged into the other, and only '
                f'{path}{whose} would get a layer. The average takes over buffers by '
                'their order, so a layer in one of the two would mix up the statistics '
                'of their norms. Name both in one target, such as '
                f'module={_both(path, twin)!r}, to drop in both; or leave both out.'
            )


def _pairs(modules: dict[str, nn.Module]) -> Iterator[tuple[str, str]]:
    """Yield what was copied and its copy: a module, or several in a sequence."""
    for name, average in modules.items():
        if not _pairs_by_order(average):
            continue
        copy = f'{name}.module'
        outside = {
            path: module
            for path, module in modules.items()
            if path and not f'{path}.'.startswith(f'{name}.')
        }
        whole = _like(modules[copy], outside)
        if whole:
            yield whole, copy
            continue
        for child, part in modules[copy].named_children():
            source = _like(part, outside)
            if source:
                yield source, f'{copy}.{child}'


def _like(copy: nn.Module, modules: dict[str, nn.Module]) -> str | None:
    """Return the path of the first module with the same weights by name and shape."""
    wanted = _shapes(copy)
    for path, module in modules.items():
        if wanted and type(module) is type(copy) and _shapes(module) == wanted:
            return path
    return None


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in module.state_dict().items()}


def _twins(path: str, pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield the paths of a block's copies, and of what it is a copy of."""
    for source, copy in pairs:
        for one, other in ((source, copy), (copy, source)):
            if f'{path}.'.startswith(f'{one}.'):
                yield other + path.removeprefix(one)


def _both(path: str, twin: str) -> str:
    """Return a regular expression for both, from the end that they have in common."""
    ours, theirs = path.split('.'), twin.split('.')
    same = 0
    while same < min(len(ours), len(theirs)) - 1 and ours[~same] == theirs[~same]:
        same += 1
    heads = (
        re.escape('.'.join(parts[: len(parts) - same])) for parts in (ours, theirs)
    )
    tail = re.escape('.'.join(['', *ours[len(ours) - same :]])) if same else ''
    return f'({"|".join(heads)}){tail}'
