"""The public function: checks its arguments and picks the path for the device."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from dropblock_mm.errors import RefusedStateError, RefusedTypeError, RefusedValueError
from dropblock_mm.ops import dense, traced
from dropblock_mm.ops.arguments import (
    check_block_size,
    check_flag,
    check_gamma_scale,
    check_keep_prob,
    names_unknown_arguments,
)
from dropblock_mm.ops.cpu import sparse
from dropblock_mm.ops.gpu import fused
from dropblock_mm.ops.plan import Plan, cached_plan, make_plan
from dropblock_mm.ops.torch_private import is_compiling, is_transformed


@names_unknown_arguments
def drop_block_2d(
    x: Tensor,
    *,
    keep_prob: float | Tensor,
    block_size: int,
    training: bool = True,
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    shared_mask: bool = False,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Drop square regions of a feature map (Algorithm 1 of the paper).

    Seeds are drawn with probability gamma (equation 1, see
    :func:`~dropblock_mm.seed_rate`) wherever a whole block fits; each zeroes a
    block of which it is the top left unit, independently for each channel. The
    rest is multiplied by ``numel / kept units``, counted over the whole tensor.
    A block larger than the map is clamped to it. If nothing is kept the result
    is zero.

    Args:
        x: Tensor[N, C, H, W] of any floating dtype and memory format.
        keep_prob: Probability of keeping a unit, in [0, 1]. A 0-dim tensor is
            read where it lives and its range is not checked.
        block_size: Side of the dropped square, in units of the map.
        training: If False, ``x`` itself is returned.
        gamma_scale: Factor on gamma (0.25 for the paper's group 3).
        calibrated: Solve for the gamma whose exact expected keep rate is
            keep_prob, instead of equation 1, which keeps more.
        shared_mask: Use one mask for all channels of an image.
        seeds: BoolTensor[N, C, H - bh + 1, W - bw + 1], True at the top left unit
            of each block, instead of drawing them; C is 1 for a shared mask.
            keep_prob, gamma_scale and calibrated are then not used.
        generator: Source of randomness; the default one of x's device if None.

    Returns:
        Tensor: Tensor[N, C, H, W], with the dtype and memory format of ``x``.
        It is ``x`` itself where nothing is to be dropped, else a fresh tensor.

    Raises:
        TypeError: If ``x`` is not floating point or an argument has a wrong type.
        ValueError: If ``x`` is not 4-D or an argument is outside its range.

    Examples:
        >>> x = torch.ones(2, 3, 20, 20)
        >>> out = drop_block_2d(x, keep_prob=0.9, block_size=7)
        >>> round(out.sum().item()) == x.numel()
        True
    """
    if not check_flag(training, 'training'):
        return x
    out, _ = drop_block_2d_with_count(
        x,
        keep_prob=keep_prob,
        block_size=block_size,
        gamma_scale=gamma_scale,
        calibrated=calibrated,
        shared_mask=shared_mask,
        seeds=seeds,
        generator=generator,
    )
    return out


@names_unknown_arguments
def drop_block_2d_with_count(
    x: Tensor,
    *,
    keep_prob: float | Tensor,
    block_size: int,
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    shared_mask: bool = False,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor | int]:
    """Do :func:`drop_block_2d` in training, and return the number of units kept.

    Returns:
        tuple[Tensor, Tensor | int]: The output, and the count: an int on the CPU,
        elsewhere a 0-dim LongTensor, which is not read back to the host.
    """
    if not isinstance(keep_prob, Tensor):
        keep_prob = check_keep_prob(keep_prob)
    elif keep_prob.dim():
        raise RefusedValueError(
            f'keep_prob has shape {tuple(keep_prob.shape)}. DropBlock has one rate '
            'for all: give a number or a 0-dim tensor.'
        )
    return drop_checked(
        x,
        keep_prob,
        check_block_size(block_size),
        check_gamma_scale(gamma_scale),
        check_flag(calibrated, 'calibrated'),
        check_flag(shared_mask, 'shared_mask'),
        seeds,
        generator,
    )


def drop_checked(
    x: Tensor,
    keep_prob: float | Tensor,
    block_size: int,
    gamma_scale: float,
    calibrated: bool,
    shared_mask: bool,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor | int]:
    """Do :func:`drop_block_2d_with_count` with arguments that were checked before."""
    _check_input(x)
    if x.numel() == 0:
        return x, 0
    plain = _is_plain(x)
    planned = cached_plan if plain else make_plan  # symbolic sizes have no hash
    plan = planned(x.shape, block_size, gamma_scale, calibrated, shared_mask)
    if seeds is not None:
        _check_seeds(seeds, plan, x.device)
    drop = _pick_path(x.device, plain, seeds is None)
    return drop(x, keep_prob, plan, seeds, generator)


def _is_plain(x: Tensor) -> bool:
    """Tell whether ``x`` holds numbers: not while compiling, not a fake tensor."""
    return type(x) in (Tensor, Parameter) and not is_compiling()


def _pick_path(device: torch.device, plain: bool, draws: bool) -> Callable[..., Any]:
    """Return the function for a device; docs/en/design.md has the table."""
    if plain and device.type == 'cpu':
        return _drop_sparsely
    if plain and fused.is_available(device):
        return _drop_fused
    if draws and (device.type in ('cpu', 'meta') or fused.is_available(device)):
        return _drop_traced
    return _drop_densely


def _draw_key(device: torch.device, generator: torch.Generator | None) -> Tensor:
    return torch.randint(2**63 - 1, (), device=device, generator=generator)


def _drop_sparsely(
    x: Tensor,
    keep_prob: float | Tensor,
    plan: Plan,
    seeds: Tensor | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, int]:
    _refuse_transforms(x)
    geometry = plan.geometry
    if seeds is not None:
        positions = seeds.flatten().nonzero().flatten()
        corners = sparse.corners_at(positions, geometry)
        return sparse.drop_blocks(x, corners, geometry)
    gamma = plan.gamma(keep_prob)
    if gamma == 0.0:
        return x, x.numel()
    if sparse.keeps_corners(gamma, x.element_size(), geometry):
        corners = sparse.sample_corners(geometry, gamma, generator)
        return sparse.drop_blocks(x, corners, geometry)
    key = int(_draw_key(x.device, generator))
    return sparse.drop_blocks(x, sparse.SeedDraw(geometry, gamma, key), geometry)


def _refuse_transforms(x: Tensor) -> None:
    """The paths by plain tensor operations can be transformed; these write memory."""
    if is_transformed(x):
        raise RefusedStateError(
            'DropBlock writes to memory, which functorch (torch.func, vmap) cannot '
            'transform. Call it outside of the transformed function, or take the '
            'gradient with torch.autograd.'
        )


def _drop_traced(
    x: Tensor,
    keep_prob: float | Tensor,
    plan: Plan,
    seeds: None,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    gamma = plan.device_gamma(keep_prob, x.device)
    key = _draw_key(x.device, generator)
    return traced.drop_units(x, gamma, key, plan.mask_shape, plan.block)


def _drop_fused(
    x: Tensor,
    keep_prob: float | Tensor,
    plan: Plan,
    seeds: Tensor | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    _refuse_transforms(x)
    gamma = plan.device_gamma(keep_prob, x.device)
    key = _draw_key(x.device, generator)
    return fused.drop_units(x, gamma, key, plan.mask_shape, plan.block, seeds)


def _drop_densely(
    x: Tensor,
    keep_prob: float | Tensor,
    plan: Plan,
    seeds: Tensor | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    if seeds is None:
        _say_that_it_is_slow(x.device)
        gamma = plan.device_gamma(keep_prob, x.device)
        seeds = dense.sample_seed_mask(plan.seed_shape, gamma, x.device, generator)
    return dense.drop_units(x, dense.drop_mask(seeds, plan.block))


@torch.compiler.assume_constant_result  # said while compiling: graphs cannot
def _say_that_it_is_slow(device: torch.device) -> None:
    _warn_once(device.type, fused.why_not(device))


@lru_cache(maxsize=8)
def _warn_once(device_type: str, reason: str) -> None:
    warnings.warn(
        f'DropBlock takes its slow path on {device_type!r} devices, with a mask as '
        f'large as the input: {reason}.',
        stacklevel=9,
    )


def _check_input(x: Tensor) -> None:
    if x.dim() != 4:
        raise RefusedValueError(
            f'x has shape {tuple(x.shape)}. DropBlock needs a batch of feature '
            'maps, (N, C, H, W).'
        )
    if not x.is_floating_point():
        raise RefusedTypeError(
            f'x has dtype {x.dtype}. DropBlock needs a floating dtype.'
        )
    if torch.jit.is_tracing():
        raise RefusedStateError(
            'torch.jit.trace would record one mask for good, so DropBlock in training '
            'mode cannot be traced. Call model.eval() before tracing.'
        )


def _check_seeds(seeds: Tensor, plan: Plan, device: torch.device) -> None:
    if tuple(seeds.shape) != plan.seed_shape or seeds.dtype != torch.bool:
        raise RefusedValueError(
            f'seeds has shape {tuple(seeds.shape)} and dtype {seeds.dtype}. For this '
            f'input and block_size={plan.block_size} it must be a bool tensor of '
            f'shape {plan.seed_shape}: one entry for each place where a whole '
            'block fits.'
        )
    if seeds.device != device:
        raise RefusedValueError(
            f'seeds is on {seeds.device} and x on {device}. Bring seeds there: '
            'seeds.to(x.device).'
        )
