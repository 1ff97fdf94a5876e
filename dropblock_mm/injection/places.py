"""A place for DropBlock in a block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.layers import DropBlock2d


@dataclass(frozen=True)
class Place:
    """A spot in a block where DropBlock belongs, and how to reach it.

    Exactly one of the last four arguments says how.

    Args:
        owner: The residual block or conv-norm-activation unit. The layer becomes
            its child, never a norm's: ``norm_eval`` would switch it off.
        name: Such as 'shortcut' or 'conv2'.
        kind: 'shortcut' or 'conv'.
        after: Module whose output is dropped.
        slot: Attribute of the owner that is None on an identity shortcut, and a
            module on others; the layer fills it.
        adds_input: The owner returns ``input + branch(input)``, and nothing comes
            after the sum. The input's part of it is dropped.
        branch: Module that the owner's branch begins with. It gets the owner's input,
            or each of a list of inputs, whole; the sum gets them dropped.

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

    def __post_init__(self) -> None:
        ways = {
            'after': self.after is not None,
            'slot': self.slot is not None,
            'adds_input': self.adds_input,
            'branch': self.branch is not None,
        }
        if sum(ways.values()) != 1:
            given = [name for name, is_given in ways.items() if is_given]
            raise RefusedValueError(
                f'Place {self.name!r} of {type(self.owner).__name__} has '
                f'{" and ".join(given) or "no way to reach it"}. Give exactly one of '
                f'{", ".join(ways)}.'
            )
        if self.kind not in ('conv', 'shortcut'):
            raise RefusedValueError(
                f"kind={self.kind!r} is neither 'conv' nor 'shortcut'."
            )

    @property
    def child_name(self) -> str:
        """The name of the layer among the owner's children."""
        return self.slot or f'drop_block_{self.name.replace(".", "_")}'

    @property
    def key(self) -> tuple[int, str]:
        """What tells places apart: two at one module's output are the same."""
        return (
            (id(self.owner), self.name) if self.after is None else (id(self.after), '')
        )


def is_free(block: Any, slot: str) -> bool:
    """Tell whether a block's slot is empty, or held by DropBlock already."""
    held = getattr(block, slot)
    return held is None or isinstance(held, DropBlock2d)
