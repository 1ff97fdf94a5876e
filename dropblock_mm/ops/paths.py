"""Which path drops the blocks of a tensor; docs/en/design.md has the table."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from dropblock_mm.errors import RefusedStateError, RefusedTypeError, RefusedValueError
from dropblock_mm.ops import dense, traced
from dropblock_mm.ops.arguments import BlockSize
from dropblock_mm.ops.cpu import followed, sparse
from dropblock_mm.ops.gpu import fused
from dropblock_mm.ops.plan import Plan, cached_plan, cached_recipe, make_plan
from dropblock_mm.ops.torch_private import (
    constant_for_compilers,
    is_compiling,
    is_ordinary,
    is_quiet,
    is_recorded,
    is_transformed,
    is_transforming,
)

# drop(x, plan, keep_prob, seeds, generator) -> (out, kept), see dense.drop.
Path = Callable[..., tuple[Tensor, Tensor | int]]

_KINDS = (Tensor, Parameter)
_SHAPES = {
    1: 'a batch of sequences of features, (N, C, L)',
    2: 'a batch of feature maps, (N, C, H, W)',
    3: 'a batch of volumes of features, (N, C, D, H, W)',
}


def drop_checked(
    x: Tensor,
    keep_prob: float | Tensor,
    block_size: BlockSize,
    gamma_scale: float,
    calibrated: bool,
    shared_mask: bool,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
    *,
    dims: int = 2,
) -> tuple[Tensor, Tensor | int]:
    """Drop blocks of a tensor with ``dims`` sides, given options that were checked.

    Returns:
        tuple[Tensor, Tensor | int]: The output, and the number of units kept: an int
        where a plain tensor is on the CPU, elsewhere a 0-dim LongTensor.
    """
    plain = is_plain_on_host(x)
    if plain and seeds is None and x.dtype in sparse.DTYPES and x.dim() == dims + 2:
        # Training on the CPU, where each question takes a part of what a map does.
        if x.numel() == 0:
            return x, 0
        if isinstance(keep_prob, Tensor):
            keep_prob = sparse.number_in(keep_prob)
        options = (block_size, gamma_scale, calibrated, shared_mask, keep_prob)
        recipe = cached_recipe(x.shape, *options)
        return sparse.drop_by(recipe, x, generator)
    _check_input(x, dims)
    if plain:
        transformed = False
    else:
        # While torch.func transforms, memory that is new is followed too.
        transformed = is_transforming() or is_transformed(x, keep_prob, seeds)
        plain = not transformed and _holds_numbers(x)
        if not plain or torch.jit.is_tracing():
            refuse_recording()
    if x.numel() == 0:
        return x, 0 if plain else torch.zeros((), dtype=torch.int64, device=x.device)
    planned = cached_plan if plain else make_plan  # symbolic sizes have no hash
    plan = planned(x.shape, block_size, gamma_scale, calibrated, shared_mask)
    if seeds is not None:
        _check_seeds(seeds, plan, x.device)
    draws = seeds is None
    if not transformed:
        drop = _path_of(x, plain, draws)
    else:
        by_key = draws and followed.is_drawn_here(x, keep_prob)
        drop = followed.drop if by_key else dense.drop
    return drop(x, plan, keep_prob, seeds, generator)


def is_plain_on_host(x: Tensor) -> bool:
    """Tell a CPU's tensor whose memory may be read and written: the common case."""
    return type(x) in _KINDS and x.is_cpu and (is_quiet() or is_ordinary())


def _holds_numbers(x: Tensor) -> bool:
    """Tell whether ``x`` holds numbers: not while compiling, not a fake tensor."""
    return type(x) in _KINDS and not is_compiling() and not is_recorded()


def _path_of(x: Tensor, plain: bool, draws: bool) -> Path:
    fast = _fast_path_of(x, plain, draws)
    if fast is None and draws:
        _say_that_it_is_slow(x.device)
    return fast or dense.drop


def _fast_path_of(x: Tensor, plain: bool, draws: bool) -> Path | None:
    kind = x.device.type
    if plain and kind == 'cpu':
        return sparse.drop
    on_host = kind in ('cpu', 'meta')
    has_kernel = not on_host and x.dim() < 5 and fused.is_available(x.device)
    if plain and has_kernel:
        return fused.drop
    return traced.drop if draws and (on_host or has_kernel) else None


@constant_for_compilers  # said while compiling: graphs cannot
def _say_that_it_is_slow(device: torch.device) -> None:
    _warn_once(device.type, fused.why_not(device) or 'no kernel is for volumes')


@lru_cache(maxsize=8)
def _warn_once(device_type: str, reason: str) -> None:
    warnings.warn(
        f'DropBlock takes its slow path on {device_type!r} devices, with a mask as '
        f'large as the input: {reason}.',
        stacklevel=_levels_to_user(),
    )


def _levels_to_user() -> int:
    """Return how many calls ago the code is that is neither torch's nor ours."""
    frame, levels = inspect.currentframe(), 0
    while frame is not None and _is_within(frame.f_globals):
        frame, levels = frame.f_back, levels + 1
    return levels


def _is_within(names: dict[str, Any]) -> bool:
    return str(names.get('__name__')).split('.')[0] in ('dropblock_mm', 'torch')


def _check_input(x: Tensor, dims: int) -> None:
    if x.dim() != dims + 2:
        raise RefusedValueError(
            f'x has shape {tuple(x.shape)}. DropBlock needs {_SHAPES[dims]}.'
        )
    if not x.is_floating_point():
        raise RefusedTypeError(
            f'x has dtype {x.dtype}. DropBlock needs a floating dtype.'
        )


@constant_for_compilers  # they take torch's own answer to be False
def is_exporting_to_onnx() -> bool:
    """Tell an export to ONNX, by either exporter, also while compilers trace."""
    return torch.onnx.is_in_onnx_export()


def refuse_recording(what: str = 'DropBlock') -> None:
    """Refuse what would hold one mask for good, or has no operator for masks.

    Args:
        what: What drops units, for the message.

    Raises:
        RuntimeError: torch.jit.trace or an export to ONNX is under way.
    """
    if is_ordinary():
        return
    if is_exporting_to_onnx():
        raise RefusedStateError(
            f'{what} is in training mode, and ONNX has no operator for its masks. '
            'Call model.eval() before exporting.'
        )
    if torch.jit.is_tracing():
        raise RefusedStateError(
            f'{what} is in training mode, and torch.jit.trace would record one mask '
            'for good. Call model.eval() before tracing.'
        )


def _check_seeds(seeds: Tensor, plan: Plan, device: torch.device) -> None:
    expected = plan.geometry.grid_shape
    if tuple(seeds.shape) != expected or seeds.dtype != torch.bool:
        raise RefusedValueError(
            f'seeds has shape {tuple(seeds.shape)} and dtype {seeds.dtype}. For this '
            f'input and blocks of {" x ".join(map(str, plan.geometry.block))} it must '
            f'be a bool tensor of shape {expected}: one entry for each place where a '
            'whole block fits.'
        )
    if seeds.device != device:
        raise RefusedValueError(
            f'seeds is on {seeds.device} and x on {device}. Bring seeds there: '
            'seeds.to(x.device).'
        )
