"""A place for a layer in a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.injection.ways import AfterModule, FreeSlot, OnInput, OnSum, Way
from dropblock_mm.layers import ScheduledDrop

# What a target's `where` selects. 'branch' is the last thing before the sum.
KINDS = ('conv', 'shortcut', 'branch')


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
        way: A :class:`~dropblock_mm.injection.ways.Way` of your own.

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
