"""What the tests of the loops in C draw masks from."""

import pytest
import torch
from hypothesis import strategies as st

from dropblock_mm.ops.cpu import native
from dropblock_mm.ops.plan import BlockGeometry, Draw, Recipe, Way

sizes = st.integers(1, 9)
keys = st.integers(0, 2**63 - 1)


@st.composite
def geometries(draw):
    """Lines, maps and volumes of all sorts, also wider than the 64 bits of a word."""
    outer = draw(st.lists(sizes, max_size=2))
    size = (*outer, draw(sizes | st.integers(60, 200)))
    block = draw(
        st.tuples(*(st.integers(1, side) for side in size))
        | st.just(size)
        | st.just((1,) * len(size))
    )
    shared_over = draw(st.integers(1, 3))
    channels = 1 if shared_over > 1 else draw(sizes | st.just(70))
    return BlockGeometry((draw(st.integers(1, 3)), channels, *size), block, shared_over)


@st.composite
def draws(draw):
    """Every way to draw, at all rates."""
    geometry, key = draw(geometries()), draw(keys)
    way = draw(st.sampled_from([*Way, None]))
    share = draw(st.floats(0.001, 0.999) | st.sampled_from([0.0, 0.5, 1.0]))
    if way is Way.GIVEN:
        generator = torch.Generator().manual_seed(key % 2**40)
        uniform = torch.rand(geometry.grid_shape, generator=generator)
        return Draw.given(geometry, uniform < share * 0.2)
    if way is None or share in (0.0, 1.0):
        return Draw.of(geometry, share, key)
    return Draw(Recipe(geometry, share, way), key)


@pytest.fixture(scope='session')
def all_draws():
    """Return the strategy."""
    return draws()


@pytest.fixture(scope='module')
def variants():
    """Return the instruction sets that this machine has; the best one is in use."""
    best = native.use_instructions(-1)
    yield range(best + 1)
    native.use_instructions(best)
