"""A place for a layer in a block, and how the layer reaches it: each way is a class."""

from __future__ import annotations

import functools
import operator
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn
from torch.utils.hooks import RemovableHandle

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.injection.input_hooks import DropIdentity, DropInput
from dropblock_mm.layers import ScheduledDrop

Undo = Callable[[], None]
Note = Callable[[Any], None]
# What a target's `where` selects. 'branch' is the last thing before the sum.
KINDS = ('conv', 'shortcut', 'branch')


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

    def enter_graph(self, graph: fx.GraphModule, layer: str) -> None:  # noqa: B027
        """Put the layer into a graph traced of the block, where tracing did not.

        Hooks of modules that a graph holds as one node are not traced.

        Args:
            graph: It holds the layer already, and does not call it.
            layer: The layer's path.
        """

    @property
    def key(self) -> tuple[int, str]:
        """What tells places apart: equal ones are the same place."""
        return id(self.owner), self.child


@dataclass(frozen=True)
class NotTraced:
    """Forward pre-hook of a block that warns where torch.fx does not see a layer.

    A hook of a module that the graph holds as one node is not traced, while the block
    around it is.
    """

    layer: ScheduledDrop

    def __call__(self, block: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Warn if the block is given a tracer's stand-ins while it trains."""
        if self.layer.training and any(isinstance(x, fx.Proxy) for x in inputs):
            warnings.warn(
                f'{type(self.layer).__name__} works in {type(block).__name__} by a '
                'forward hook, which torch.fx does not trace: what replaces modules '
                'of the traced model, as prepare_qat_fx does, loses it. Trace with '
                'dropblock_mm.injection.trace(model, sites), and give others its '
                'result.',
                stacklevel=2,
            )


@dataclass(frozen=True)
class AfterModule(Way):
    """Drop units of a module's output.

    Args:
        module: The module.
    """

    module: nn.Module

    def hook(self, layer: ScheduledDrop) -> Sequence[RemovableHandle]:
        """Let the layer take the module's output."""
        return [
            self.module.register_forward_hook(layer.apply_to_output),
            self.owner.register_forward_pre_hook(NotTraced(layer)),
        ]

    def enter_graph(self, graph: fx.GraphModule, layer: str) -> None:
        """Call the layer behind each call of the module."""
        for node in calls_of(self.module, graph):
            with graph.graph.inserting_after(node):
                new = graph.graph.call_module(layer, (node,))
            node.replace_all_uses_with(new, functools.partial(operator.is_not, new))

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
            self.owner.register_forward_pre_hook(NotTraced(layer)),
        ]

    def enter_graph(self, graph: fx.GraphModule, layer: str) -> None:
        """Give the branch what the layer is given."""
        for node in calls_of(self.branch, graph):
            dropped, *others = node.args
            if isinstance(dropped, fx.Node) and dropped.target == layer:
                node.args = (dropped.args[0], *others)

    def watch(self, note: Note) -> RemovableHandle:
        """Note the block's input, or each of a list of inputs."""

        def note_all(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            first = inputs[0]
            for x in [first] if isinstance(first, Tensor) else first:
                note(x)

        return self.owner.register_forward_pre_hook(note_all)


@dataclass(frozen=True)
class Place:
    """A spot in a block where a layer belongs, and how to reach it.

    Exactly one of the last five arguments says how.

    Args:
        owner: The residual block or conv-norm-activation unit. The layer becomes
            its child, never a norm's: ``norm_eval`` would switch it off.
        name: Such as 'shortcut' or 'conv2'.
        kind: 'conv', 'shortcut', or 'branch' for the end of a residual branch.
        after: Module whose output is dropped.
        slot: Attribute of the owner that is None on an identity shortcut, and a
            module on others; the layer fills it.
        adds_input: The owner returns ``input + branch(input)``, and nothing comes
            after the sum. The input's part of it is dropped.
        branch: Module that the owner's branch begins with. It gets the owner's input,
            or each of a list of inputs, whole; the sum gets them dropped.
        way: A :class:`~dropblock_mm.injection.Way` of your own.

    Raises:
        ValueError: If not exactly one way is given, or the kind is unknown.
    """

    owner: nn.Module
    name: str
    kind: str = 'conv'
    after: nn.Module | None = None
    slot: str | None = None
    adds_input: bool = False
    branch: nn.Module | None = None
    way: Way = None  # type: ignore[assignment]  # made from what is given instead

    def __post_init__(self) -> None:
        ways = self._ways()
        given = {name: way for name, way in ways.items() if way is not None}
        if len(given) != 1:
            raise RefusedValueError(
                f'Place {self.name!r} of {type(self.owner).__name__} has '
                f'{" and ".join(given) or "no way to reach it"}. Give exactly one of '
                f'{", ".join(ways)}.'
            )
        if self.kind not in KINDS:
            *most, last = map(repr, KINDS)
            raise RefusedValueError(
                f'kind={self.kind!r} is neither {", ".join(most)} nor {last}.'
            )
        (way,) = given.values()
        object.__setattr__(self, 'way', way)

    def _ways(self) -> dict[str, Way | None]:
        owner, child = self.owner, f'drop_block_{self.name.replace(".", "_")}'
        after, branch = self.after, self.branch
        return {
            'after': AfterModule(owner, child, after) if after is not None else None,
            'slot': FreeSlot(owner, self.slot) if self.slot is not None else None,
            'adds_input': OnSum(owner, child) if self.adds_input else None,
            'branch': OnInput(owner, child, branch) if branch is not None else None,
            'way': self.way,
        }

    def __repr__(self) -> str:
        """Leave out the block, which may be large."""
        owner = type(self.owner).__name__
        return f'Place({self.name!r} of {owner}, kind={self.kind!r})'

    @property
    def key(self) -> tuple[int, str, bool]:
        """What tells places apart: two at one module's output are the same.

        But the end of a branch comes after the convolution that it ends with. Two
        layers there multiply by independent factors, so their order is all the same.
        """
        return (*self.way.key, self.kind == 'branch')

    @property
    def is_taken(self) -> bool:
        """Whether a layer is attached here."""
        held = getattr(self.owner, self.way.child, None)
        return isinstance(held, ScheduledDrop)


def calls_of(module: nn.Module, graph: fx.GraphModule) -> list[fx.Node]:
    """Find the calls of a module in a graph."""
    calls = [n for n in graph.graph.nodes if n.op == 'call_module']
    return [n for n in calls if graph.get_submodule(str(n.target)) is module]


def parts_of(module: nn.Module) -> dict[str, nn.Module]:
    """Return a module's children by name, without the layers that were injected."""
    return {
        name: child
        for name, child in module.named_children()
        if not isinstance(child, ScheduledDrop)
    }


def is_free(block: Any, slot: str) -> bool:
    """Tell whether a block's slot is empty, or held by a layer of ours already."""
    held = getattr(block, slot)
    return held is None or isinstance(held, ScheduledDrop)
