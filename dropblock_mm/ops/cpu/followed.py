"""Masks on the CPU for tensors that torch.func or forward-mode AD follows.

Their memory cannot be written, so the mask is applied by tensor operations. It is drawn
as for all others: a seed gives the same mask in each mode of differentiation, which is
what ``torch.autograd.gradcheck`` compares.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dropblock_mm.ops import dense
from dropblock_mm.ops.cpu import sparse
from dropblock_mm.ops.plan import Plan, Recipe, recipe_of
from dropblock_mm.ops.torch_private import (
    beneath_transforms,
    is_compiling,
    is_differentiating,
    is_recorded,
    is_transformed,
    unwrapped,
)


def is_drawn_here(x: Tensor, keep_prob: float | Tensor) -> bool:
    """Tell a CPU's tensor, and its rate, that are differentiated and nothing else.

    A compiler and a recorder take no numbers for answers, and vmap draws for each
    sample.
    """
    if not x.is_cpu or is_compiling() or torch.jit.is_tracing() or is_recorded():
        return False
    if not is_differentiating() or is_transformed(keep_prob):
        return False
    return type(unwrapped(x)) in (Tensor, torch.nn.Parameter)


def drop(
    x: Tensor,
    plan: Plan,
    keep_prob: float | Tensor,
    seeds: None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Drop blocks, as :func:`dropblock_mm.ops.dense.drop` has it, without seeds."""
    if isinstance(keep_prob, Tensor):
        keep_prob = sparse.number_in(keep_prob)
    recipe = recipe_of(plan, keep_prob)
    if recipe.share == 0.0:
        return x, torch.full((), x.numel(), dtype=torch.int64, device='cpu')
    return dense.drop_units(x, draw_mask(recipe, generator))


def draw_mask(recipe: Recipe, generator: torch.Generator | None) -> Tensor:
    """Draw BoolTensor of the geometry's mask, True where a unit is dropped.

    Args:
        recipe: The map, the blocks and the probability of a seed.
        generator: Source of randomness; the CPU's default one if None.
    """
    with beneath_transforms():  # within, the mask would be followed too
        return sparse.drop_mask(recipe.draw(generator))[0]
