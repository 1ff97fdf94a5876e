"""Hooks that drop the input of a block on its skip connection, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dropblock_mm.layers import DropBlock2d


@dataclass(frozen=True)
class DropInput:
    """Forward hook of a block that returns ``input + branch(input)``.

    It is an object because deepcopy copies its layer along with the model's, where
    a closure would go on calling the original.
    """

    layer: DropBlock2d

    def __call__(
        self, block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor
    ) -> Tensor:
        """Drop blocks of the input's part of the output."""
        if not self.layer.training:
            return output  # not even rounded
        identity, *_ = inputs
        return self.layer(identity) + (output - identity)


class DropIdentity:
    """Hooks of a block that adds its input, or each of a list, to its branch.

    The block gets dropped inputs; the module that its branch begins with is given the
    whole ones back, in the order in which it is called.
    """

    def __init__(self, layer: DropBlock2d) -> None:
        self.layer = layer
        self.whole: list[Tensor] = []

    def drop(self, block: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Before the block: drop its inputs, and remember them."""
        first, *others = inputs
        if isinstance(first, Tensor):
            self.whole = [first]
            return (self.layer(first), *others)
        self.whole = list(first)
        return (type(first)(self.layer(x) for x in first), *others)

    def give_back(self, branch: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Before the branch: take the next whole input."""
        whole = self.whole.pop(0)
        self.whole.append(whole)  # one input may go into several branches
        return (whole, *inputs[1:])

    def forget(self, block: nn.Module, inputs: Any, output: Any) -> None:
        """After the block: hold on to nothing, also because graphs cannot be copied."""
        self.whole = []


def layer_of(hook: Any) -> Any:
    """Return the layer that a hook of ours works with, else None."""
    worker = getattr(hook, '__self__', hook)
    return worker.layer if isinstance(worker, DropInput | DropIdentity) else worker
