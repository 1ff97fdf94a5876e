"""The loops in C, where the package was built with a compiler.

Each function has a namesake in :mod:`~dropblock_mm.ops.cpu.torch_loops`, which takes
its place otherwise and returns the same.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dropblock_mm.ops.cpu import torch_loops
from dropblock_mm.ops.plan import BlockGeometry, Draw, packed

try:
    _native: Any = importlib.import_module('dropblock_mm.ops.cpu._native')
except ImportError:  # no compiler was there: setup.py makes it optional
    _native = None

IS_BUILT: bool = _native is not None

_DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
# GNU's compiler calls these, and so every OpenMP runtime of Linux has them.
_RUNTIME = ('GOMP_parallel', 'omp_get_thread_num', 'omp_get_num_threads')
_CONTIGUOUS = torch.contiguous_format
Steps = tuple[int, int, int]


def use_torchs_threads() -> bool:
    """Let the loops run on the threads of the OpenMP runtime that torch has loaded.

    A symbol of torch's library is looked up in what that library itself is linked
    with, so it is the runtime of torch whichever others a process has loaded.

    Returns:
        bool: Whether that has the functions; otherwise one thread does all.
    """
    folder = Path(torch.__file__).parent / 'lib'
    try:
        library = ctypes.CDLL(str(folder / 'libtorch_cpu.so'))
        addresses = [
            ctypes.cast(getattr(library, name), ctypes.c_void_p).value
            for name in _RUNTIME
        ]
    except (OSError, AttributeError):
        return False
    _native.use_threads(*addresses)
    return True


def use_instructions(variant: int) -> int:
    """Choose an instruction set: 0 is what any machine has, -1 the best of this one.

    Returns:
        int: The one that is in use from now on, which is never beyond the machine.
    """
    return _native.use_variant(variant)


def stream_from(size: int) -> int:
    """Choose from how many bytes on an output is written past the caches.

    Returns:
        int: What it was.
    """
    return _native.stream_from(size)


def _use_one_thread() -> None:
    _native.use_threads(0, 0, 0)


if IS_BUILT and use_torchs_threads() and hasattr(os, 'register_at_fork'):
    # Threads do not come along into a child, and a runtime would wait for them.
    os.register_at_fork(after_in_child=_use_one_thread)


def number_in(rate: Tensor) -> float:
    """See :func:`dropblock_mm.ops.cpu.torch_loops.number_in`."""
    if rate.dtype is torch.float32 and rate.is_cpu and type(rate) is Tensor:
        return _native.float_at(rate.data_ptr())
    return float(rate)


def add_to(count: Tensor, number: int) -> None:
    """See :func:`dropblock_mm.ops.cpu.torch_loops.add_to`."""
    if count.dtype is torch.int64 and count.is_cpu and type(count) is Tensor:
        _native.add_at(count.data_ptr(), number)
    else:
        count.add_(number)


def drop(
    x: Tensor, draw: Draw, factor: float = 0.0, divides: bool = False
) -> tuple[Tensor, int]:
    """See :func:`dropblock_mm.ops.cpu.torch_loops.drop`."""
    dtype = _DTYPES.get(x.dtype)
    # One of torch's views is the negative of what its memory holds.
    if dtype is None or x.is_neg():
        return _drop_by_mask(x, draw, factor, divides)
    if x.is_contiguous():  # as of a product, also where sides of 1 have any stride
        out = torch.empty_like(x, memory_format=_CONTIGUOUS)
        steps = draw.geometry.packed_steps
    else:
        found = _layout_for(x, draw.geometry)
        if found is None:
            return _drop_by_mask(x, draw, factor, divides)
        x, out, steps = found
    dropped = _native.drop(
        draw.geometry.packed_layout,
        *_numbers_of(draw),
        out.data_ptr(),
        x.data_ptr(),
        dtype,
        steps,
        factor,
        divides,
        torch.get_num_threads(),
    )
    return out, dropped


def _layout_for(
    x: Tensor, geometry: BlockGeometry
) -> tuple[Tensor, Tensor, bytes] | None:
    """Return an input, an output and their steps, where the loops can follow them."""
    steps = _steps_of(x, geometry)
    if steps is None:
        x = x.clone()  # torch's own order of dimensions, without gaps
        steps = _steps_of(x, geometry)
    if steps is None:
        return None
    out = torch.empty_like(x)
    out_steps = _steps_of(out, geometry)
    if out_steps is None or not _fit(steps, out_steps):
        x = torch.empty_like(out).copy_(x)  # channels behind each other, as in `out`
        return _layout_for(x, geometry)
    return x, out, packed((*out_steps, *steps))


def _drop_by_mask(
    x: Tensor, draw: Draw, factor: float, divides: bool
) -> tuple[Tensor, int]:
    mask, dropped = draw_mask(draw)
    return torch_loops.apply(x, mask, dropped, factor, divides), dropped


def draw_mask(draw: Draw) -> tuple[Tensor, int]:
    """See :func:`dropblock_mm.ops.cpu.torch_loops.draw_mask`."""
    geometry = draw.geometry.of_mask
    mask = torch.empty(geometry.shape, dtype=torch.bool, device='cpu')
    dropped = _native.draw(
        geometry.packed_layout,
        *_numbers_of(draw),
        mask.data_ptr(),
        torch.get_num_threads(),
    )
    return mask, dropped * draw.geometry.shared_over


def _numbers_of(draw: Draw) -> tuple[int, int, float, int]:
    seeds = 0 if draw.seeds is None else draw.seeds.data_ptr()
    return draw.way, draw.key, draw.share, seeds


def _steps_of(x: Tensor, geometry: BlockGeometry) -> Steps | None:
    """Return strides of image, channel and unit, where the loops can follow them.

    Returns:
        Steps | None: None where the units of a plane have no common stride, or nothing
        lies behind each other.
    """
    if x.is_contiguous():
        return geometry.steps_of_input
    image, channel, *inner = x.stride()
    step, expected = 1, 0
    for length, stride in zip(reversed(x.shape[2:]), reversed(inner), strict=True):
        if length == 1:
            continue
        if expected == 0:
            step = stride
        elif stride != expected:
            return None
        expected = stride * length
    return (image, channel, step) if 1 in (channel, step) else None


def _fit(one: Steps, other: Steps) -> bool:
    """Tell whether units lie behind each other in both tensors, or channels do."""
    return one[2] == other[2] == 1 or one[1] == other[1] == 1
