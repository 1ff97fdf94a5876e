import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropblock_mm.ops import cpu
from dropblock_mm.ops.cpu import native, sparse
from dropblock_mm.ops.cpu.sparse import SeedDraw
from dropblock_mm.ops.plan import BlockGeometry

sizes = st.integers(1, 9)
shapes = st.tuples(sizes, sizes, sizes, sizes)


def geometry_of(shape, block_size, shared_over=1):
    block = (min(block_size, shape[2]), min(block_size, shape[3]))
    return BlockGeometry(shape, block, shared_over)


@pytest.fixture(params=['native', 'torch_loops'], autouse=True)
def loops(request, monkeypatch):
    """Do everything with the loops in C, and again with tensor operations."""
    if request.param == 'native' and not native.IS_BUILT:
        pytest.skip('dropblock_mm was installed without a C compiler')
    monkeypatch.setattr(sparse, 'loops', getattr(cpu, request.param))


def sample_positions(number, gamma):
    """Seeds on a map of one row, where corners are positions."""
    return sparse.sample_corners(BlockGeometry((1, 1, 1, number), (1, 1)), gamma)


# ---- which seeds fall: five standard errors, one run in 10^6 fails by chance


def test_seeds_fall_evenly_and_independently_of_position():
    """Chi-square of the counts per position, at five standard errors."""
    torch.manual_seed(0)
    positions, gamma, rounds = 24 * 31, 0.01, 4000
    drawn = sample_positions(positions * rounds, gamma).unique()
    counts = torch.bincount(drawn % positions, minlength=positions).double()
    variance = rounds * gamma * (1 - gamma)
    chi_square = ((counts - rounds * gamma) ** 2 / variance).sum().item()
    # Chi-square has mean k and standard deviation sqrt(2 k).
    assert abs(chi_square - positions) < 5 * (2 * positions) ** 0.5


@pytest.mark.parametrize('gamma', [1e-7, 0.003, 0.2, 0.5, 0.51, 0.999, 1.0])
def test_number_of_seeds(gamma):
    torch.manual_seed(1)
    trials = int(min(2e6, 2000 / gamma)) if gamma > 1e-6 else 10**10
    drawn = sample_positions(trials, gamma).unique()
    error = 5 * (trials * gamma * (1 - gamma)) ** 0.5
    assert abs(len(drawn) - trials * gamma) <= error
    assert drawn[0] >= 0
    assert drawn[-1] < trials


@pytest.mark.parametrize('gamma', [0.05, 0.4, 0.7])
def test_seeds_vary_as_much_as_independent_trials(gamma):
    """The number of seeds is binomial, in its variance too."""
    torch.manual_seed(2)
    trials, rounds = 50, 4000
    drawn = sample_positions(trials * rounds, gamma).unique()
    counts = torch.bincount(drawn // trials, minlength=rounds).double()
    expected = trials * gamma * (1 - gamma)
    # The variance of a sample variance, nearly normal: 2 sigma^4 / n.
    assert abs(counts.var().item() - expected) < 5 * expected * (2 / rounds) ** 0.5


def test_sampling_goes_on_where_the_first_draw_falls_short(monkeypatch):
    """The first draw is six deviations too long; here it is made too short."""
    torch.manual_seed(0)
    monkeypatch.setattr(sparse.math, 'sqrt', lambda mean: -mean / 8)
    drawn = sample_positions(100_000, 0.01)
    assert abs(len(drawn.unique()) - 1000) < 5 * 990**0.5
    assert drawn[-1] > 99_000
    assert (drawn.diff() >= 0).all()


def test_nothing_falls_at_gamma_0():
    assert len(sample_positions(10**9, 0.0)) == 0


def test_a_draw_repeats_itself_and_leaves_the_global_generator_alone():
    geometry = geometry_of((2, 64, 20, 20), 5)
    state = torch.get_rng_state()
    first, second = (SeedDraw(geometry, 0.01, 7).corners() for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, SeedDraw(geometry, 0.01, 8).corners())
    assert torch.equal(torch.get_rng_state(), state)


# ---- the mask and its use


# The fixture sets the same at every example.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shapes, st.integers(1, 10), st.integers(1, 3), st.integers(0, 2**40))
def test_a_draw_and_its_corners_drop_the_same(shape, block_size, shared_over, key):
    if shared_over > 1:  # one plane for all channels of an image
        shape = (shape[0], 1, *shape[2:])
    geometry = geometry_of(shape, block_size, shared_over)
    draw = SeedDraw(geometry, 0.1, key)
    images, channels, height, width = shape
    x = torch.randn(images, channels * shared_over, height, width)
    outputs = []
    for seeds in (draw, draw.corners()):
        leaf = x.clone().requires_grad_()
        out, kept = sparse.drop_blocks(leaf, seeds, geometry)
        out.sum().backward()
        outputs.append((out, leaf.grad, kept))
    assert torch.equal(outputs[0][0], outputs[1][0])
    assert torch.equal(outputs[0][1], outputs[1][1])
    mask, mask_kept = sparse.drop_mask(draw)
    assert torch.equal(outputs[0][1] == 0, mask.expand_as(x))
    assert outputs[0][2] == outputs[1][2] == mask_kept * shared_over
    assert mask_kept == math.prod(shape) - mask.sum().item()


@pytest.mark.parametrize('planes', [1, 1_000_000])
def test_one_plane_and_a_million(planes):
    geometry = geometry_of((1, planes, 2, 3), 2)
    torch.manual_seed(0)
    corners = sparse.sample_corners(geometry, 0.1)
    x = torch.ones(1, planes, 2, 3)
    out, kept = sparse.drop_blocks(x, corners, geometry)
    assert kept == (out != 0).sum().item()
    hit = torch.zeros(planes, dtype=torch.bool)
    hit[corners // 6] = True
    assert torch.equal((out == 0).any(-1).any(-1).flatten(), hit)
