"""Places of residual blocks that only their forward gives away.

A block of convolutions and norms in plain torch may add its input to its branch, and
have no attribute that says so. What it does with its input is in its graph.
"""

from __future__ import annotations

import copy
import operator
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx, nn

from dropblock_mm.injection.adapters.blocks import (
    asked_of,
    is_plain_block,
    norm_places,
)
from dropblock_mm.injection.places import Place, parts_of

_SUMS = (operator.add, operator.iadd, torch.add, 'add', 'add_')


class _Parts(fx.Tracer):
    """Records which parts a block calls on what, and looks into none of them."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return True


def graph_of(block: nn.Module) -> fx.Graph | None:
    """Return the graph of a block's forward; None if it cannot be traced.

    Nothing is computed. What the forward would keep in attributes is kept by a copy.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return _Parts().trace(copy.copy(block))
    except Exception:  # whatever someone else's forward may raise without numbers
        return None


@asked_of(is_plain_block)
def block_with_sum(block: Any) -> list[Place] | None:
    """Places of a plain block whose forward adds its input, or a projection of it.

    After each of its own norms; on the skip connection, where that can be reached;
    and at the end of the branch.
    """
    graph = graph_of(block)
    operands = None if graph is None else _operands(graph)
    if operands is None:
        return None
    parts = parts_of(block)
    skip, branch = operands
    beside = [parts.get(name) for name in _called_on_input(skip) or []]
    norms = [place for place in norm_places(block) if place.after not in beside]
    last = _last_module(branch)
    end = [Place(block, 'branch', 'branch', after=parts[last])] if last else []
    return [*_shortcut(block, skip, branch), *norms, *end]


def _operands(graph: fx.Graph) -> tuple[fx.Node, fx.Node] | None:
    """Return what a block adds last: its skip connection, and its branch."""
    nodes = [*graph.nodes]
    node: Any = nodes[-1].args[0]
    while isinstance(node, fx.Node) and node.target not in _SUMS:
        node = _only_input(node)
    if not isinstance(node, fx.Node):
        return None
    chains = [
        (len(chain), operand)
        for operand in node.args
        if isinstance(operand, fx.Node)
        for chain in [_called_on_input(operand)]
        if chain is not None
    ]
    both = [operand for operand in node.args if isinstance(operand, fx.Node)]
    if len(both) != 2 or not chains or both[0] is both[1]:
        return None
    skip = min(chains, key=lambda pair: pair[0])
    if [length for length, _ in chains].count(skip[0]) > 1:
        return None  # two branches of one length: neither is a skip connection
    branch = both[1] if skip[1] is both[0] else both[0]
    return (skip[1], branch) if _comes_from(branch, _input(graph)) else None


def _only_input(node: fx.Node) -> fx.Node | None:
    inputs = node.all_input_nodes
    return inputs[0] if len(inputs) == 1 else None


def _input(graph: fx.Graph) -> fx.Node:
    return next(node for node in graph.nodes if node.op == 'placeholder')


def _called_on_input(node: fx.Node) -> list[str] | None:
    """Return the modules in line between a block's input and a node, if it is one."""
    names: list[str] = []
    at: fx.Node | None = node
    while at is not None and at.op != 'placeholder':
        names += [str(at.target)] if at.op == 'call_module' else []
        at = _only_input(at)
    return names[::-1] if at is _input(node.graph) else None


def _comes_from(node: fx.Node, source: fx.Node) -> bool:
    return node is source or any(_comes_from(n, source) for n in node.all_input_nodes)


def _last_module(node: fx.Node | None) -> str:
    """Return the last module of a branch, behind which only functions come."""
    while node is not None and node.op != 'call_module':
        node = _only_input(node)
    return '' if node is None or '.' in str(node.target) else str(node.target)


def _shortcut(block: nn.Module, skip: fx.Node, branch: fx.Node) -> Iterator[Place]:
    names = _called_on_input(skip)
    if names:
        after = block.get_submodule(names[-1])
        yield Place(block, 'shortcut', 'shortcut', after=after)
        return
    if skip.op != 'placeholder':
        return  # padded or cut by functions: nothing to attach a layer to
    # The input itself: dropped for all that uses it but the branch's first module.
    source = _input(skip.graph)
    firsts = [node for node in source.users if _comes_from(branch, node)]
    if len(firsts) == 1 and len(source.users) == 2 and _takes_whole(firsts[0], source):
        first = block.get_submodule(str(firsts[0].target))
        yield Place(block, 'shortcut', 'shortcut', branch=first)


def _takes_whole(node: fx.Node, source: fx.Node) -> bool:
    is_first = bool(node.args) and node.args[0] is source
    return node.op == 'call_module' and is_first
