import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropblock_mm import seed_rate
from dropblock_mm.ops.gpu import tiling
from dropblock_mm.ops.gpu.tiling import Work, cell_size, cells_across, choose_tile
from dropblock_mm.ops.rates import clamp_block

sizes = st.tuples(st.integers(1, 400), st.integers(1, 400))
works = st.builds(
    lambda planes, size, block_size, most_units, least_planes: Work(
        planes=planes,
        size=size,
        block=clamp_block(block_size, size),
        most_units=most_units,
        per_unit=8.0,
        least_planes=least_planes,
    ),
    planes=st.integers(1, 5000),
    size=sizes,
    block_size=st.integers(1, 450),
    most_units=st.sampled_from([2048, 4096, 32768]),
    least_planes=st.sampled_from([1, 16]),
)


def cells_that_reach(start, tile, length, block, cell):
    """The cells with a seed whose block covers some of start ... start + tile - 1."""
    seeds = length - block + 1
    first, last = max(start - block + 1, 0), min(start + tile, seeds) - 1
    return {seed // cell for seed in range(first, last + 1)}


@given(works)
def test_a_tile_meets_every_cell_that_reaches_it(work):
    tile = choose_tile(work)
    cell = cell_size(work.size, work.block)
    sides = ((tile.ROWS, tile.CELLS_H), (tile.WORDS * tile.BITS, tile.CELLS_W))
    for axis, (length, most) in enumerate(sides):
        for start in range(0, work.size[axis], length):
            cells = cells_that_reach(
                start, length, work.size[axis], work.block[axis], cell[axis]
            )
            # The kernels number them from the first one, which is 0 unless cut.
            first = max(start - work.block[axis] + 1, 0) // cell[axis]
            first = first if tile.CUT else 0
            assert cells <= set(range(first, first + most))


@given(works)
def test_tiles_cover_the_planes_and_keep_to_their_size(work):
    tile = choose_tile(work)
    planes, rows, columns = tile.grid(work)
    assert planes * tile.PLANES >= work.planes
    assert rows * tile.ROWS >= work.size[0]
    assert columns * tile.WORDS * tile.BITS >= work.size[1]
    units = math.prod(tile[:4])
    assert units <= work.most_units
    assert work.least_planes <= tile.PLANES
    assert tile.BITS <= 32
    assert all(constant & (constant - 1) == 0 for constant in tile[:-1])


@given(sizes, st.integers(1, 450))
def test_cells_cover_the_seeds_grid(size, block_size):
    block = clamp_block(block_size, size)
    cell = cell_size(size, block)
    grid = (size[0] - block[0] + 1, size[1] - block[1] + 1)
    assert cells_across(size, block) * cell[1] >= grid[1]
    if cell != grid:
        assert all(side & (side - 1) == 0 for side in cell)


@given(sizes, st.integers(1, 450))
def test_the_cut_is_made_for_the_gamma_of_equation_1(size, block_size):
    gamma = seed_rate(
        keep_prob=1.0 - tiling.DROP_RATE, block_size=block_size, feature_size=size
    )
    expected = tiling.expected_rate(size, clamp_block(block_size, size))
    assert min(expected, 1.0) == pytest.approx(gamma)


def test_rounds_are_estimated_as_they_happen():
    """Draw Poisson numbers of seeds and count the rounds they need."""
    work = Work(4096, (40, 40), (7, 7), most_units=4096, per_unit=8.0)
    mean = math.prod(cell_size(work.size, work.block))
    mean *= tiling.expected_rate(work.size, work.block)
    generator = np.random.default_rng(0)
    for draws, planes in ((1, 1), (4, 8), (8, 16), (16, 16)):
        tile = choose_tile(work)._replace(PLANES=planes, DRAWS=draws)
        most_seeds = generator.poisson(mean, size=(20_000, planes)).max(1)
        # A last seed that falls inside calls for another round.
        rounds = (most_seeds // draws + 1).mean()
        assert tiling._rounds(tile, work) == pytest.approx(rounds, rel=0.02)


@pytest.mark.parametrize('size', [(40, 40), (200, 336), (7, 7)])
def test_one_round_is_the_rule(size):
    block = clamp_block(7, size)
    work = Work(4096, size, block, most_units=4096, per_unit=8.0)
    assert tiling._rounds(choose_tile(work), work) < 2


@pytest.mark.parametrize('size', [(5000, 5000), (1, 1_000_000), (1_000_000, 1)])
@pytest.mark.parametrize('block_size', [1, 7, 2500])
def test_sides_of_cells_are_bounded(size, block_size):
    """32-bit floats count positions up to 2^24."""
    assert math.prod(cell_size(size, clamp_block(block_size, size))) < 2**24


def test_a_map_beyond_the_largest_grid_is_refused():
    work = Work(1, (10**7, 64), (7, 7), most_units=4096, per_unit=8.0)
    with pytest.raises(ValueError, match=r'A map of 10000000 x 64 units'):
        choose_tile(work)
