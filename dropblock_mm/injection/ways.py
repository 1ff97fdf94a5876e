"""How a layer reaches its place in a block: each way is a class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from dropblock_mm.layers import ScheduledDrop

Undo = Callable[[], None]
Note = Callable[[Any], None]


@dataclass(frozen=True)
class Way(ABC):
    """A way to have a layer work in a block, of which it becomes a child.

    A new way derives from this class; a :class:`~dropblock_mm.injection.Place` takes
    an instance as ``way``. Hooks have to be bound methods, of the layer or of an
    object that holds it: deepcopy binds these to the copy, where a closure would go on
    calling the original.

    Args:
        owner: The block.
        child: Attribute of the owner that will hold the layer.
    """

    owner: nn.Module
    child: str

    def attach(self, layer: ScheduledDrop) -> Undo:
        """Put a layer to work.

        Returns:
            Callable: Takes it out again; the block is then as it was.
        """
        setattr(self.owner, self.child, layer)
        handles = self.hook(layer)

        def undo() -> None:
            for handle in handles:
                handle.remove()
            delattr(self.owner, self.child)

        return undo

    @abstractmethod
    def hook(self, layer: ScheduledDrop) -> Sequence[RemovableHandle]:
        """Have the block call the layer."""

    @abstractmethod
    def watch(self, note: Note) -> RemovableHandle:
        """Call ``note`` with what an attached layer is given, until removed."""

    @property
    def key(self) -> tuple[int, str]:
        """What tells places apart: equal ones are the same place."""
        return id(self.owner), self.child


@dataclass(frozen=True)
class AfterModule(Way):
    """Drop units of a module's output.

    Args:
        module: The module.
    """

    module: nn.Module

    def hook(self, layer: ScheduledDrop) -> Sequence[RemovableHandle]:
        """Let the layer take the module's output."""
        return [self.module.register_forward_hook(layer.apply_to_output)]

    def watch(self, note: Note) -> RemovableHandle:
        """Note the module's output."""
        return self.module.register_forward_hook(
            lambda module, inputs, output: note(output)
        )

    @property
    def key(self) -> tuple[int, str]:
        """The module tells: of two blocks that reach it the first has the place."""
        return id(self.module), ''


@dataclass(frozen=True)
class FreeSlot(Way):
    """Fill an attribute that is None, which the block calls if it is a module."""

    def attach(self, layer: ScheduledDrop) -> Undo:
        """Put the layer into the slot."""
        is_plain = self.child in vars(self.owner)  # else it is a module that is None
        setattr(self.owner, self.child, layer)

        def undo() -> None:
            if is_plain:
                delattr(self.owner, self.child)
            setattr(self.owner, self.child, None)

        return undo

    def hook(self, layer: ScheduledDrop) -> Sequence[RemovableHandle]:
        """Nothing more: the block calls what is in the slot."""
        return ()

    def watch(self, note: Note) -> RemovableHandle:
        """Note what the block gives to the layer in the slot."""
        layer: nn.Module = getattr(self.owner, self.child)
        return layer.register_forward_pre_hook(lambda module, inputs: note(inputs[0]))


@dataclass(frozen=True)
class OnSum(Way):
    """Exchange the input's part of what a block returns.

    The block returns ``input + branch(input)``, and nothing comes after the sum.
    """

    def hook(self, layer: ScheduledDrop) -> Sequence[RemovableHandle]:
        """Let the layer work behind the block."""
        return [self.owner.register_forward_hook(DropInput(layer))]

    def watch(self, note: Note) -> RemovableHandle:
        """Note the block's input."""
        return self.owner.register_forward_pre_hook(
            lambda module, inputs: note(inputs[0])
        )


@dataclass(frozen=True)
class OnInput(Way):
    """Drop units of a block's input for all that uses it but the branch.

    Args:
        branch: The module that the branch begins with.
    """

    branch: nn.Module

    def hook(self, layer: ScheduledDrop) -> Sequence[RemovableHandle]:
        """Let the layer work before the block, and not before the branch."""
        hooks = DropIdentity(layer)
        return [
            self.owner.register_forward_pre_hook(hooks.drop),
            layer.register_forward_pre_hook(hooks.remember),
            self.branch.register_forward_pre_hook(hooks.give_back),
            self.owner.register_forward_hook(hooks.forget),
        ]

    def watch(self, note: Note) -> RemovableHandle:
        """Note the block's input, or each of a list of inputs."""

        def note_all(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            first = inputs[0]
            for x in [first] if isinstance(first, Tensor) else first:
                note(x)

        return self.owner.register_forward_pre_hook(note_all)


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
