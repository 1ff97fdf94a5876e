"""The loops in C against those of tensor operations, and against plain Python."""

import itertools
import math
import operator
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dropblock_mm.ops.cpu import native, torch_loops
from dropblock_mm.ops.plan import BlockGeometry

pytestmark = pytest.mark.skipif(
    not native.IS_BUILT, reason='dropblock_mm was installed without a C compiler'
)
sizes = st.integers(1, 9)
keys = st.integers(0, 2**40)


@st.composite
def geometries(draw):
    """Lines, maps and volumes of all sorts, also wider than the 64 bits of a word."""
    outer = draw(st.lists(sizes, max_size=2))
    size = (*outer, draw(sizes | st.integers(60, 200)))
    block = tuple(draw(st.integers(1, side)) for side in size)
    shared_over = draw(st.integers(1, 3))
    channels = 1 if shared_over > 1 else draw(sizes)
    return BlockGeometry((draw(sizes), channels, *size), block, shared_over)


def some_corners(geometry, key):
    generator = torch.Generator().manual_seed(key)
    uniform = torch.rand(200, dtype=torch.float64, generator=generator)
    mean_gap = max(geometry.num_positions / 20, 1.1)
    return native.place_seeds(uniform, mean_gap, geometry)


@given(geometries(), keys, st.floats(1.1, 300.0))
def test_seeds_are_placed_alike(geometry, key, mean_gap):
    generator = torch.Generator().manual_seed(key)
    uniform = torch.rand(50, dtype=torch.float64, generator=generator)
    ours = native.place_seeds(uniform, mean_gap, geometry)
    assert torch.equal(ours, torch_loops.place_seeds(uniform, mean_gap, geometry))


@given(geometries(), keys)
def test_dropped_units_are_counted(geometry, key):
    corners = some_corners(geometry, key)
    covered = {
        corner + sum(map(operator.mul, offset, geometry.mask_strides[2:]))
        for corner in corners.tolist()
        for offset in itertools.product(*map(range, geometry.block))
    }
    assert native.count_dropped(corners, geometry) == len(covered)
    assert torch_loops.count_dropped(corners, geometry) == len(covered)


@given(
    geometries(),
    keys,
    st.sampled_from([torch.float64, torch.float32, torch.bfloat16, torch.bool]),
    st.randoms(use_true_random=False),
)
def test_blocks_are_filled_alike_in_every_layout(geometry, key, dtype, random):
    """And nothing beside them: what is before and behind in memory stays."""
    images, channels, *size = geometry.shape
    shape = (images, channels * geometry.shared_over, *size)
    order = random.sample(range(len(shape)), len(shape))
    results = []
    for loops in (native, torch_loops):
        memory = torch.ones(8 + torch.Size(shape).numel() + 8, dtype=dtype)
        inner = memory[8:-8].view([shape[k] for k in order])
        out = inner.permute([order.index(k) for k in range(len(shape))])
        assert out.shape == shape
        byte = int(dtype == torch.bool)
        if byte:
            memory.zero_()
        loops.fill_blocks(out, some_corners(geometry, key), geometry, byte)
        results.append(memory)
    assert torch.equal(*results)
    dropped = native.count_dropped(some_corners(geometry, key), geometry)
    changed = results[0] != (dtype != torch.bool)
    assert changed.sum() == dropped * geometry.shared_over


@pytest.mark.parametrize('dims', range(3))
def test_places_beyond_32_bits(dims):
    """Corners on a map of 2^40 units, none of which is made."""
    shapes = [(1 << 14, 1 << 14), (1 << 8, 1 << 6, 1 << 14), (1 << 28,)]
    geometry = BlockGeometry((1, 1 << 12, *shapes[dims]), (7,) * len(shapes[dims]))
    uniform = torch.rand(300, dtype=torch.float64)
    corners = [
        loops.place_seeds(uniform, geometry.num_positions / 200, geometry)
        for loops in (native, torch_loops)
    ]
    assert torch.equal(*corners)
    assert corners[0][-1] > 2**39
    assert native.count_dropped(corners[0], geometry) <= math.prod(
        geometry.block
    ) * len(corners[0])


def test_an_installation_without_the_loops_in_c_works():
    """As after a build without a compiler."""
    code = (
        'import sys\n'
        "sys.modules['dropblock_mm.ops.cpu._native'] = None\n"
        'import torch, dropblock_mm\n'
        'from dropblock_mm.ops.cpu import native, sparse, torch_loops\n'
        'assert not native.IS_BUILT and sparse.loops is torch_loops\n'
        'torch.manual_seed(0)\n'
        'x = torch.ones(2, 8, 20, 20)\n'
        'out = dropblock_mm.drop_block_2d(x, keep_prob=0.9, block_size=7)\n'
        'print((out == 0).sum().item())\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    torch.manual_seed(0)
    from dropblock_mm import drop_block_2d

    out = drop_block_2d(torch.ones(2, 8, 20, 20), keep_prob=0.9, block_size=7)
    assert int(done.stdout) == (out == 0).sum().item() > 0
