import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dropblock_mm.ops.cpu.torch_loops import apply_steps, corner_steps, steps_between
from dropblock_mm.ops.plan import BlockGeometry

sizes = st.integers(1, 9)
shapes = st.tuples(sizes, sizes, sizes, sizes)


def geometry_of(shape, block_size):
    return BlockGeometry(shape, (min(block_size, shape[2]), min(block_size, shape[3])))


def corner_by_division(position, geometry):
    """The oracle: digits one by one, in Python's integers."""
    grid_height, grid_width = geometry.grid_shape[2:]
    position, column = divmod(position, grid_width)
    plane, row = divmod(position, grid_height)
    height, width = geometry.shape[2:]
    return (plane * height + row) * width + column


@given(shapes, st.integers(1, 10))
def test_corners_are_the_units_that_the_positions_name(shape, block_size):
    geometry = geometry_of(shape, block_size)
    positions = torch.arange(geometry.num_positions)
    corners = apply_steps(positions, corner_steps(geometry)).tolist()
    assert corners == [corner_by_division(p, geometry) for p in positions.tolist()]
    # One for each place where a whole block fits.
    units = torch.arange(geometry.num_units).view(shape)
    height, width = geometry.grid_shape[2:]
    assert corners == units[:, :, :height, :width].flatten().tolist()


@pytest.mark.parametrize(
    ('shape', 'block_size'),
    [
        ((64, 2048, 200, 336), 7),
        ((1, 1, 70_000, 70_000), 33),
        ((1 << 20, 1 << 12, 1, 1), 1),
    ],
)
def test_index_arithmetic_beyond_32_bits(shape, block_size):
    """Tensors this large are not made; only their indices are computed."""
    geometry = geometry_of(shape, block_size)
    assert geometry.num_units > 2**31
    last = geometry.num_positions - 1
    positions = torch.tensor([0, 2**31 - 1, 2**31, 2**32 + 1, last - 1, last])
    positions = positions[positions <= last]
    expected = [corner_by_division(p, geometry) for p in positions.tolist()]
    assert apply_steps(positions, corner_steps(geometry)).tolist() == expected
    # The last block ends at the last unit of all.
    height, width = geometry.block
    reach = (height - 1) * shape[3] + width - 1
    assert expected[-1] + reach == geometry.num_units - 1


def test_places_in_memory_beyond_32_bits():
    """Every layout of a tensor too large to make, at its last block."""
    shape = (32, 2048, 200, 336)
    geometry = geometry_of(shape, 7)
    corner = apply_steps(
        torch.tensor([geometry.num_positions - 1]), corner_steps(geometry)
    )
    digits = [31, 2047, 193, 329]
    images, channels, height, width = shape
    for strides in (
        (channels * height * width, height * width, width, 1),
        (channels * height * width, 1, width * channels, channels),
        (1, images, images * channels, images * channels * height),
    ):
        place = apply_steps(corner, steps_between(shape, strides)).item()
        assert place == sum(d * s for d, s in zip(digits, strides, strict=True))
        assert place > 2**31
