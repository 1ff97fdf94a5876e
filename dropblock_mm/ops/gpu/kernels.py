"""DropBlock on a GPU: fused Triton kernels that keep no mask in memory.

For planes of H x W units, a block of bh x bw and a rate gamma (DropBlock, Ghiasi
et al., 2018, section 3: equation 1 and Algorithm 1)::

    seed[i, j] ~ Bernoulli(gamma),  0 <= i <= H - bh,  0 <= j <= W - bw
    keep[r, c] = no seed[i, j] with i <= r < i + bh and j <= c < j + bw
    y          = x * keep * numel / max(sum of keep, 1)

Seeds are rare, so what is drawn is the gaps between them. They are geometric:
``floor(log(1 - w) / log(1 - gamma)) + 1`` with w uniform in (0, 1).

- The seeds' grid of a plane is cut into *cells*. Each is a Bernoulli process with
  a stream of random numbers of its own: Philox under a 64-bit key, whose counter
  holds draw, cell and plane in separate words. Cells follow from the shape of the
  map and the block alone, so every kernel meets the same seeds.
- A program handles a *tile*: some planes, rows and columns. It draws the seeds of
  the cells that reach the tile: as many as suffice nearly always, and again while
  a cell's last seed is not past its end. So it is exact whatever gamma is.
- Each row of the tile has words of bits, one bit per column, into which the seeds'
  blocks are ORed. No seed is ever compared with a single unit.
- Counting adds up bits. Applying reads x once and writes y once; as y is linear in
  x with a diagonal matrix, the gradient is the same kernel on the gradient.

Gamma, the key and the count stay on the device: nothing waits for the host.
"""
# Triton's functions are typed by Triton. Its constants are in capitals.
# mypy: disable-error-code="no-untyped-def"
# ruff: noqa: N803

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from dropblock_mm.ops.gpu.tiling import Work, cell_size, cells_across, choose_tile

Shape = tuple[int, int, int, int]
Block = tuple[int, int]

_BLOCKS_AND_CELLS = ('block_h', 'block_w', 'cell_h', 'cell_w', 'cells_across')
# Numbers that say nothing about alignment: no kernel is compiled anew for them.
_PLAIN = ('numel', 'planes', 'height', 'width', *_BLOCKS_AND_CELLS)

_UNITS_TO_COUNT = 32 * 1024  # in a program that counts
_SECTORS = 64  # bytes that a program takes of neighbouring channels
_LONG = 2**30  # from which on 32 bits may not hold an index, padding included

# ---- what the kernels share


@triton.jit
def _minus_log_of_miss(w):
    """Return -log(1 - w), 0 <= w <= 1, to the precision of fp32 also near 0.

    No ``a * b + c``, which compilers fuse or not: kernels must agree on each bit.
    """
    series = tl.fma(w, 1.0 / 5, 1.0 / 4)
    series = tl.fma(w, series, 1.0 / 3)
    series = tl.fma(w, series, 1.0 / 2)
    series = tl.fma(w, series, 1.0)
    return tl.where(w < 0.0625, w * series, -tl.log(1.0 - w))


@triton.jit
def _geometric_gaps(key, plane, cell, draw, gamma, longest):
    """Return floor(log(1 - w) / log(1 - gamma)) + 1, at most longest + 1."""
    plane = plane.to(tl.int64)
    low, high = plane.to(tl.uint32), (plane >> 32).to(tl.uint32)
    bits, _, _, _ = tl.philox(key, draw.to(tl.uint32), cell.to(tl.uint32), low, high)
    w = tl.minimum((bits.to(tl.float32) + 0.5) * 2.0**-32, 1.0 - 2.0**-24)
    rate = tl.minimum(tl.maximum(gamma, 1e-30), 1.0 - 2.0**-24)  # finite logarithms
    per_log = tl.where(gamma >= 1.0, 0.0, 1.0 / _minus_log_of_miss(rate))
    gap = _minus_log_of_miss(w) * per_log
    return tl.minimum(gap, longest.to(tl.float32)).to(tl.int32) + 1


@triton.jit
def _low_bits(n):
    """Return int32 with the n lowest bits set, 0 <= n <= 32."""
    return ((tl.full([1], 1, tl.int64) << n.to(tl.int64)) - 1).to(tl.int32)


@triton.jit
def _or(a, b):
    return a | b


@triton.jit
def _seeds_first(x):
    """Turn [PLANES, CELLS, DRAWS, WORDS] to [CELLS * DRAWS, 1, PLANES, WORDS]."""
    flat = tl.reshape(x, [x.shape[0], x.shape[1] * x.shape[2], x.shape[3]])
    return tl.trans(flat, 1, 0, 2)[:, None, :, :]


@triton.jit
def _dropped_bits(
    gamma_ptr,
    key_ptr,
    seeds_ptr,
    plane,
    live,
    row0,
    column0,
    height,
    width,
    block_h,
    block_w,
    cell_h,
    cell_w,
    cells_across,
    ROWS: tl.constexpr,
    WORDS: tl.constexpr,
    BITS: tl.constexpr,
    CELLS_H: tl.constexpr,
    CELLS_W: tl.constexpr,
    DRAWS: tl.constexpr,
    CUT: tl.constexpr,
):
    """Return a tile's dropped units as bits, int32[ROWS, PLANES, WORDS].

    bit k of [r, p, w] = OR over the seeds (i, j) of plane p:
        i <= row0 + r < i + bh  and  j <= column0 + w * BITS + k < j + bw
    """
    seeds_h = height - block_h + 1
    seeds_w = width - block_w + 1
    size = cell_h * cell_w
    # The cells that reach the tile, [1, CELLS]; some of these may not.
    index = tl.arange(0, CELLS_H * CELLS_W)[None, :]
    cell_row = index // CELLS_W
    cell_column = index % CELLS_W
    if CUT:
        cell_row += tl.maximum(row0 - block_h + 1, 0) // cell_h
        cell_column += tl.maximum(column0 - block_w + 1, 0) // cell_w
    reaches = (cell_row * cell_h < tl.minimum(row0 + ROWS, seeds_h)) & (
        cell_column * cell_w < tl.minimum(column0 + WORDS * BITS, seeds_w)
    )
    cell = (cell_row * cells_across + cell_column)[:, :, None]
    rows = row0 + tl.arange(0, ROWS)[None, :, None, None]
    words = column0 + BITS * tl.arange(0, WORDS)[None, None, None, :]
    gamma = tl.load(gamma_ptr).to(tl.float32)
    key = tl.load(key_ptr)

    dropped = tl.zeros([ROWS, live.shape[0], WORDS], tl.int32)
    draw = tl.arange(0, DRAWS)[None, None, :]
    plane = plane[:, None, None]
    last = tl.where(live[:, None] & reaches, -1, size)  # the last seed's position
    while tl.min(last) < size - 1:
        if seeds_ptr is None:
            gaps = _geometric_gaps(key, plane, cell, draw, gamma, size)
        else:  # every position, and those without a seed are discarded below
            gaps = tl.full([live.shape[0], CELLS_H * CELLS_W, DRAWS], 1, tl.int32)
        seed = last[:, :, None] + tl.cumsum(gaps, 2)
        last = tl.minimum(tl.max(seed, 2), size)
        draw += DRAWS

        row = cell_row[:, :, None] * cell_h + seed // cell_w
        column = cell_column[:, :, None] * cell_w + seed % cell_w
        valid = (seed < size) & (row < seeds_h) & (column < seeds_w)
        if seeds_ptr is not None:
            at = (plane.to(tl.int64) * seeds_h + row) * seeds_w + column
            valid &= tl.load(seeds_ptr + at, mask=valid, other=0) != 0
        row = tl.where(valid, row, -(2**30))  # no row of the tile is near

        column = column[:, :, :, None] - words
        start = tl.minimum(tl.maximum(column, 0), BITS)
        end = tl.minimum(tl.maximum(column + block_w, 0), BITS)
        bits = _seeds_first(_low_bits(end) ^ _low_bits(start))
        below = (rows - _seeds_first(row[:, :, :, None])).to(tl.uint32)
        bits = tl.where(below < block_h.to(tl.uint32), bits, 0)
        dropped |= tl.reduce(bits, 0, _or)
    return dropped


@triton.jit
def _popcount(x):
    """Return how many bits of an int32 are set (compiled to one instruction)."""
    x = x.to(tl.uint32)
    x = x - ((x >> 1) & 0x55555555)
    x = (x & 0x33333333) + ((x >> 2) & 0x33333333)
    x = (x + (x >> 4)) & 0x0F0F0F0F
    return ((x * 0x01010101) >> 24).to(tl.int32)


# ---- kernels


@triton.jit(do_not_specialize=_PLAIN)
def _count_kernel(
    kept_ptr,
    gamma_ptr,
    key_ptr,
    seeds_ptr,
    planes,
    height,
    width,
    block_h,
    block_w,
    cell_h,
    cell_w,
    cells_across,
    LONG: tl.constexpr,
    PLANES: tl.constexpr,
    ROWS: tl.constexpr,
    WORDS: tl.constexpr,
    BITS: tl.constexpr,
    CELLS_H: tl.constexpr,
    CELLS_W: tl.constexpr,
    DRAWS: tl.constexpr,
    CUT: tl.constexpr,
):
    """Count: kept -= number of dropped units, in integers."""
    group = tl.program_id(0)
    if LONG:
        group = group.to(tl.int64)
    plane = group * PLANES + tl.arange(0, PLANES)
    dropped = _dropped_bits(
        gamma_ptr,
        key_ptr,
        seeds_ptr,
        plane,
        plane < planes,
        tl.program_id(1) * ROWS,
        tl.program_id(2) * (WORDS * BITS),
        height,
        width,
        block_h,
        block_w,
        cell_h,
        cell_w,
        cells_across,
        ROWS,
        WORDS,
        BITS,
        CELLS_H,
        CELLS_W,
        DRAWS,
        CUT,
    )
    count = tl.sum(_popcount(dropped)).to(tl.int64)
    tl.atomic_add(kept_ptr, -count, sem='relaxed')


@triton.jit(do_not_specialize=_PLAIN)
def _apply_kernel(
    x_ptr,
    out_ptr,
    gamma_ptr,
    key_ptr,
    kept_ptr,
    seeds_ptr,
    numel,
    channels,
    height,
    width,
    block_h,
    block_w,
    cell_h,
    cell_w,
    cells_across,
    stride_n,
    stride_c,
    stride_h,
    stride_w,
    IMAGES: tl.constexpr,
    SHARED: tl.constexpr,
    SHIFT: tl.constexpr,
    LONG: tl.constexpr,
    PLANES: tl.constexpr,
    ROWS: tl.constexpr,
    WORDS: tl.constexpr,
    BITS: tl.constexpr,
    CELLS_H: tl.constexpr,
    CELLS_W: tl.constexpr,
    DRAWS: tl.constexpr,
    CUT: tl.constexpr,
):
    """Apply: out = x * keep * numel / max(kept * channels that share a plane, 1).

    With x_ptr None, out = keep.
    """
    # Shifting there and back tells the compiler that these are multiples of
    # 2^SHIFT, so that it loads several units at once.
    width = width >> SHIFT << SHIFT
    stride_n = stride_n >> SHIFT << SHIFT
    stride_c = stride_c >> SHIFT << SHIFT
    stride_h = stride_h >> SHIFT << SHIFT

    image, group = 0, tl.program_id(0)
    if LONG:
        group = group.to(tl.int64)
    if IMAGES:
        groups = tl.cdiv(channels, PLANES)
        image, group = group // groups, group % groups
    channel = group * PLANES + tl.arange(0, PLANES)
    live = channel < channels
    row0 = tl.program_id(1) * ROWS
    column0 = tl.program_id(2) * (WORDS * BITS)
    # Tiles are [ROWS, PLANES, WORDS, BITS].
    rows = row0 + tl.arange(0, ROWS)[:, None, None, None]
    columns = BITS * tl.arange(0, WORDS)[:, None] + tl.arange(0, BITS)[None, :]
    columns = column0 + columns[None, None, :, :]
    inside = live[None, :, None, None] & (rows < height) & (columns < width)
    if LONG:
        rows, columns = rows.to(tl.int64), columns.to(tl.int64)
    at = image * stride_n + channel[None, :, None, None] * stride_c
    at += rows * stride_h + columns * stride_w
    if x_ptr is not None:  # asked for before drawing, so that it arrives meanwhile
        x = tl.load(x_ptr + at, mask=inside)

    dropped = _dropped_bits(
        gamma_ptr,
        key_ptr,
        seeds_ptr,
        channel * 0 + image if SHARED else image * channels + channel,
        live,
        row0,
        column0,
        height,
        width,
        block_h,
        block_w,
        cell_h,
        cell_w,
        cells_across,
        ROWS,
        WORDS,
        BITS,
        CELLS_H,
        CELLS_W,
        DRAWS,
        CUT,
    )
    bit = (1 << tl.arange(0, BITS))[None, None, None, :]
    keep = (dropped[:, :, :, None] & bit) == 0
    if x_ptr is None:
        tl.store(out_ptr + at, keep.to(tl.uint8), mask=inside)
    else:
        kept = tl.load(kept_ptr)
        if SHARED:
            kept *= channels
        scale = numel.to(tl.float64) / tl.maximum(kept, 1).to(tl.float64)
        wide: tl.constexpr = tl.float64 if x.dtype == tl.float64 else tl.float32
        y = tl.where(keep, x, 0.0).to(wide) * scale.to(wide)
        tl.store(out_ptr + at, y.to(x.dtype), mask=inside)


# ---- functions on tensors


def count_kept(
    gamma: Tensor, key: Tensor, shape: Shape, block: Block, seeds: Tensor | None = None
) -> Tensor:
    """Return the number of units that a mask keeps.

    Args:
        gamma: Tensor[], the probability of a seed, in [0, 1].
        key: LongTensor[], the seed of the random numbers, in [0, 2^63).
        shape: (N, C, H, W) of the mask; C is 1 if channels share it.
        block: Height and width of a block, at most those of the map.
        seeds: BoolTensor[N, C, H - bh + 1, W - bw + 1], True at the top left unit
            of each block, to use instead of drawing.

    Returns:
        Tensor: LongTensor[] on the device of ``key``.
    """
    size = (shape[2], shape[3])
    planes = shape[0] * shape[1]
    kept = torch.full((), math.prod(shape), dtype=torch.int64, device=key.device)
    work = Work(planes, size, block, most_units=_UNITS_TO_COUNT, per_unit=0.5)
    tile = choose_tile(work)
    with torch.cuda.device_of(key):
        _count_kernel[tile.grid(work)](
            kept,
            gamma,
            key,
            _as_bytes(seeds),
            planes,
            *size,
            *block,
            *cell_size(size, block),
            cells_across(size, block),
            LONG=planes > _LONG,
            **tile._asdict(),
        )
    return kept


def scale_and_drop(
    x: Tensor,
    gamma: Tensor,
    key: Tensor,
    kept: Tensor,
    mask_shape: Shape,
    block: Block,
    seeds: Tensor | None = None,
) -> Tensor:
    """Zero the units that a mask drops and normalise by count.

    It is linear in ``x`` and its own adjoint: the gradient of ``x`` is the same
    function of the gradient of the result.

    Args:
        x: Tensor[N, C, H, W], not empty.
        gamma: As in :func:`count_kept`, like key, block and seeds.
        key: The same as there draws the same mask.
        kept: What :func:`count_kept` returned.
        mask_shape: (N, C, H, W) of the mask; C is 1 if channels share it.
        block: Height and width of a block.
        seeds: To use instead of drawing.

    Returns:
        Tensor: Tensor[N, C, H, W], a fresh one with the dtype of ``x``, and its
        strides where it is dense. Dropped units are 0 whatever they were.
    """
    out = torch.empty_like(x)
    if out.stride() != x.stride():  # x has gaps or overlaps
        x = out.copy_(x)
    shared = mask_shape[1] != x.shape[1]
    _write(x, out, gamma, key, kept, shared, block, seeds)
    return out


def keep_mask(gamma: Tensor, key: Tensor, shape: Shape, block: Block) -> Tensor:
    """Return BoolTensor[shape], True where :func:`scale_and_drop` keeps a unit."""
    mask = torch.empty(shape, dtype=torch.uint8, device=key.device)
    _write(None, mask, gamma, key, None, False, block, None)
    return mask.view(torch.bool)


def _write(
    x: Tensor | None,
    out: Tensor,
    gamma: Tensor,
    key: Tensor,
    kept: Tensor | None,
    shared: bool,
    block: Block,
    seeds: Tensor | None,
) -> None:
    """Launch the kernel that writes ``out``, whose strides are those of ``x``."""
    images, channels, height, width = out.shape
    strides = list(out.stride())
    # Images and channels in one go, wherever one stride leads through both.
    if not shared and (1 in (images, channels) or strides[0] == channels * strides[1]):
        if channels == 1:
            strides[1] = strides[0]
        images, channels, strides[0] = 1, images * channels, 0
    shift = _common_shift(width, *strides)
    neighbours = strides[1] == 1 and strides[3] != 1 and channels > 1
    itemsize, warps = out.element_size(), 8 if neighbours else 4
    work = Work(
        channels,
        (height, width),
        block,
        # Units that are not loaded several at once take more registers each.
        most_units=warps * min(4096 // itemsize, 2048 if neighbours else 1024 << shift),
        per_unit=8.0,
        images=images,
        least_planes=_SECTORS // itemsize if neighbours else 1,
        threads=32 * warps,
    )
    tile = choose_tile(work)
    reach = sum((n - 1) * step for n, step in zip(out.shape, out.stride(), strict=True))
    with torch.cuda.device_of(out):
        _apply_kernel[tile.grid(work)](
            x,
            out,
            gamma,
            key,
            kept,
            _as_bytes(seeds),
            out.numel(),
            channels,
            height,
            width,
            *block,
            *cell_size(work.size, block),
            cells_across(work.size, block),
            *strides,
            IMAGES=images > 1,
            SHARED=shared,
            SHIFT=shift,
            LONG=reach > _LONG,
            **tile._asdict(),
            num_warps=warps,
        )


def _common_shift(width: int, *strides: int) -> int:
    """Return how often 2 divides rows and strides: 16 bytes of fp16 at most.

    It is of use where columns are neighbours in memory.
    """
    common = math.gcd(8, width, *strides[:3]) if strides[3] == 1 else 1
    return common.bit_length() - 1


def _as_bytes(seeds: Tensor | None) -> Tensor | None:
    return None if seeds is None else seeds.contiguous().view(torch.uint8)
