"""Hooks that drop a block's input for its sum, and leave it whole for its branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dropblock_mm.layers import ScheduledDrop


@dataclass(frozen=True)
class DropInput:
    """Forward hook of a block that returns ``input + branch(input)``."""

    layer: ScheduledDrop

    def __call__(
        self, block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor
    ) -> Tensor:
        """Drop units of the input's part of the output."""
        if not self.layer.training:
            return output  # not even rounded
        identity, *_ = inputs
        return self.layer(identity) + (output - identity)


class DropIdentity:
    """Hooks of a block that adds its input, or each of a list, to its branch.

    The block gets dropped inputs; the module that its branch begins with is given the
    whole ones back, in the order in which it is called. A graph traced of the block
    calls the layer and that module, and no block: the layer itself remembers then.
    """

    def __init__(self, layer: ScheduledDrop) -> None:
        self.layer = layer
        self.whole: list[Tensor] = []
        self._in_block = False

    def drop(self, block: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Before the block: drop its inputs."""
        first, *others = inputs
        self.whole, self._in_block = [], True
        if isinstance(first, (list, tuple)):
            return (type(first)(self.layer(x) for x in first), *others)
        return (self.layer(first), *others)

    def remember(self, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Before the layer: keep what it is given, for the branch."""
        if not self._in_block:
            self.whole = []
        self.whole.append(inputs[0])

    def give_back(self, branch: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        """Before the branch: take the next whole input."""
        whole = self.whole.pop(0)
        if self._in_block:
            self.whole.append(whole)  # one input may go into several branches
        return (whole, *inputs[1:])

    def forget(self, block: nn.Module, inputs: Any, output: Any) -> None:
        """After the block: hold on to nothing, also because graphs cannot be copied."""
        self.whole, self._in_block = [], False
