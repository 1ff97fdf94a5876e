"""Places of cells, in which states are sums of two operations on earlier states.

As NASNet's and AmoebaNet's. The public function is an adapter: see
:mod:`dropblock_mm.injection.walk`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from torch import nn

from dropblock_mm.injection.adapters.blocks import asked_of, having, is_norm
from dropblock_mm.injection.places import Place


@asked_of(having('operations', 'skips'))
def cell(module: Any) -> list[Place] | None:
    """Places of a cell: after each norm, on the skip connections, after operations.

    A cell is a module with ``operations``, a ModuleDict, and ``skips``, the dotted
    names of those parts that only pass a state on. Where such a part has a projection,
    its norm is the place of the skip connection, as in ResNet.

    ScheduledDropPath (Zoph et al., 2018) drops at the end of every operation that is
    no skip: these are the places of kind 'branch'.
    """
    operations, skips = module.operations, module.skips
    if not isinstance(operations, nn.ModuleDict) or skips is None:
        return None
    return [
        *(_skip(module, path) for path in skips),
        *_norms(module, skips),
        *_branches(module, operations, skips),
    ]


def _skip(cell: nn.Module, path: str) -> Place:
    part = cell.get_submodule(path)
    norms = [m for m in part.modules() if is_norm(m)]
    after = norms[-1] if norms else part
    return Place(cell, f'{_short(path)}.shortcut', 'shortcut', after=after)


def _norms(cell: nn.Module, skips: Collection[str]) -> Iterator[Place]:
    """Yield a place after each norm, wherever it is in the cell."""
    for path, part in cell.named_modules():
        is_of_skip = any(path.startswith(f'{skip}.') for skip in skips)
        if is_norm(part) and not is_of_skip:
            yield Place(cell, _short(path), after=part)


def _branches(
    cell: nn.Module, operations: nn.ModuleDict, skips: Collection[str]
) -> Iterator[Place]:
    for name, operation in operations.items():
        if f'operations.{name}' not in skips:
            yield Place(cell, f'{name}.branch', 'branch', after=operation)


def _short(path: str) -> str:
    return path.removeprefix('operations.')
