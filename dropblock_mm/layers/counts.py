"""Counting units where something follows tensors: compilers, or torch.func."""

from __future__ import annotations

from torch import Tensor

from dropblock_mm.ops.torch_private import (
    beneath_transforms,
    is_compiling,
    is_transformed,
    is_transforming,
    unwrapped,
)


def count_units(
    kept_units: Tensor, seen_units: Tensor, x: Tensor, kept: Tensor | int
) -> None:
    """Add the units of a tensor to counts, and those of them that were kept.

    Inside ``torch.func.vmap`` these are the units of all samples: one mask for all
    (``randomness='same'``) counts once for each. A transformation that is itself
    compiled counts nothing. An ensemble, whose counts are passed to
    ``torch.func.functional_call``, has one for each member.

    Args:
        kept_units: LongTensor[], written to.
        seen_units: LongTensor[], written to.
        x: Tensor[N, C, ...].
        kept: How many of its units were kept.
    """
    if is_compiling() and is_transforming():
        return
    by_number = type(kept) is int and not is_transforming()
    if by_number or is_compiling() or is_transformed(kept_units):
        kept_units.add_(kept)
        seen_units.add_(x.numel())
        return
    with beneath_transforms():
        whole, each = unwrapped(x), unwrapped(kept)
        masks = each.numel() if isinstance(each, Tensor) else 1
        times = whole.numel() // (x.numel() * masks) if x.numel() else 1
        total = each.sum() if isinstance(each, Tensor) else each
        kept_units.add_(total * times if times > 1 else total)
        seen_units.add_(whole.numel())
