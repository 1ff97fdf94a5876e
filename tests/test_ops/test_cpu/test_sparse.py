import math

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropblock_mm.ops import dense
from dropblock_mm.ops.cpu import native, sparse, torch_loops
from dropblock_mm.ops.plan import BlockGeometry, Draw, Recipe, Way

sizes = st.integers(1, 9)
shapes = st.tuples(sizes, sizes, sizes, sizes)
WAYS = [Way.GAPS, Way.BITS]


def geometry_of(shape, block_size, shared_over=1):
    block = (min(block_size, shape[2]), min(block_size, shape[3]))
    return BlockGeometry(shape, block, shared_over)


@pytest.fixture(params=['in C', 'as tensor operations'], autouse=True)
def loops(request, monkeypatch):
    """Do everything with the loops in C, and again with tensor operations."""
    in_c = request.param == 'in C'
    if in_c and not native.IS_BUILT:
        pytest.skip('dropblock_mm was installed without a C compiler')
    monkeypatch.setattr(sparse, 'in_c', in_c)


def sample_positions(number, gamma, way=None):
    """Seeds on a map of one row, where blocks of 1 are positions."""
    geometry = BlockGeometry((1, 1, 1, number), (1, 1))
    key = int(torch.randint(2**63 - 1, ()))
    draw = Draw.of(geometry, gamma, key)
    if way is not None:
        draw = Draw(Recipe(geometry, gamma, way), key)
    mask, _ = sparse.drop_mask(draw)
    return mask.flatten().nonzero().flatten()


# ---- which seeds fall: five standard errors, one run in 10^6 fails by chance


@pytest.mark.parametrize('way', WAYS)
def test_seeds_fall_evenly_and_independently_of_position(way):
    """Chi-square of the counts per position, at five standard errors."""
    torch.manual_seed(0)
    positions, gamma, rounds = 24 * 31, 0.01, 4000
    drawn = sample_positions(positions * rounds, gamma, way)
    counts = torch.bincount(drawn % positions, minlength=positions).double()
    variance = rounds * gamma * (1 - gamma)
    chi_square = ((counts - rounds * gamma) ** 2 / variance).sum().item()
    # Chi-square has mean k and standard deviation sqrt(2 k).
    assert abs(chi_square - positions) < 5 * (2 * positions) ** 0.5


@pytest.mark.parametrize('way', WAYS)
def test_corners_fall_evenly_where_a_block_fits(way):
    torch.manual_seed(0)
    size, planes, gamma = (9, 13), 4000, 0.02
    geometry = BlockGeometry((1, planes, *size), (3, 4))
    draw = Draw(Recipe(geometry, gamma, way), int(torch.randint(2**63 - 1, ())))
    counts = torch_loops.draw_seeds(draw).sum((0, 1)).double().flatten()
    positions = counts.numel()
    assert positions == 7 * 10
    variance = planes * gamma * (1 - gamma)
    chi_square = ((counts - planes * gamma) ** 2 / variance).sum().item()
    assert abs(chi_square - positions) < 5 * (2 * positions) ** 0.5
    mask, _ = sparse.drop_mask(draw)  # and blocks of any other size are not there
    assert torch.equal(mask, dense.drop_mask(torch_loops.draw_seeds(draw), (3, 4)))


@pytest.mark.parametrize('way', WAYS)
def test_neighbours_are_independent(way):
    """Pairs of units at many distances: words, streams and planes leave no trace."""
    torch.manual_seed(3)
    number, gamma = 2_000_000, 0.1
    drawn = torch.zeros(number)
    drawn[sample_positions(number, gamma, way)] = 1
    for distance in (1, 2, 3, 31, 32, 63, 64, 65, 2048, 8191, 8192, 8193):
        both = (drawn[:-distance] * drawn[distance:]).sum().item()
        pairs = number - distance
        # Each unit is in two pairs: their variances add up with a covariance.
        square = gamma * gamma
        variance = square * (1 - square) + 2 * gamma**3 * (1 - gamma)
        assert abs(both - pairs * square) < 5 * (pairs * variance) ** 0.5


@pytest.mark.parametrize('gamma', [1e-6, 0.003, 0.2, 0.5, 0.51, 0.999, 1.0])
def test_number_of_seeds(gamma):
    torch.manual_seed(1)
    trials = int(min(4e6, 2000 / gamma)) if gamma > 1e-5 else 40_000_000
    drawn = sample_positions(trials, gamma)
    error = 5 * (trials * gamma * (1 - gamma)) ** 0.5
    assert abs(len(drawn) - trials * gamma) <= error
    assert drawn[0] >= 0
    assert drawn[-1] < trials


@pytest.mark.parametrize('way', WAYS)
@pytest.mark.parametrize('gamma', [0.05, 0.4, 0.7])
def test_seeds_vary_as_much_as_independent_trials(gamma, way):
    """The number of seeds is binomial, in its variance too."""
    torch.manual_seed(2)
    trials, rounds = 50, 4000
    drawn = sample_positions(trials * rounds, gamma, way)
    counts = torch.bincount(drawn // trials, minlength=rounds).double()
    expected = trials * gamma * (1 - gamma)
    # The variance of a sample variance, nearly normal: 2 sigma^4 / n.
    assert abs(counts.var().item() - expected) < 5 * expected * (2 / rounds) ** 0.5


def test_sampling_goes_on_where_the_first_draw_falls_short(monkeypatch):
    """The first draw is six deviations too long; here it is made too short."""
    torch.manual_seed(0)
    monkeypatch.setattr(torch_loops.math, 'sqrt', lambda mean: -mean / 8)
    drawn = sample_positions(100_000, 0.01, Way.GAPS)
    assert abs(len(drawn) - 1000) < 5 * 990**0.5
    assert drawn[-1] > 99_000
    assert (drawn.diff() >= 0).all()


@pytest.mark.parametrize(
    ('block', 'gamma', 'way'),
    [
        ((7, 7), 0.0028, Way.GAPS),  # the paper's ResNet
        ((4, 4), 0.055, Way.BITS),  # its segmentation head, keep_prob 0.2
        ((1, 1), 0.8, Way.BITS),
        ((7, 7), 0.9, Way.BITS),
        ((7, 7), 1.0, Way.BITS),
    ],
)
def test_the_cheaper_way_is_chosen(block, gamma, way):
    geometry = BlockGeometry((2, 256, 40, 40), block)
    assert Draw.of(geometry, gamma, 0).way is way


def test_nothing_falls_at_gamma_0():
    assert len(sample_positions(10**6, 0.0)) == 0


def test_a_draw_repeats_itself_and_leaves_the_global_generator_alone():
    geometry = geometry_of((2, 64, 20, 20), 5)
    state = torch.get_rng_state()
    first, second = (sparse.drop_mask(Draw.of(geometry, 0.01, 7))[0] for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, sparse.drop_mask(Draw.of(geometry, 0.01, 8))[0])
    assert torch.equal(torch.get_rng_state(), state)


# ---- the mask and its use


# The fixture sets the same at every example.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shapes, st.integers(1, 10), st.integers(1, 3), st.integers(0, 2**40))
def test_a_draw_and_its_seeds_drop_the_same(shape, block_size, shared_over, key):
    if shared_over > 1:  # one plane for all channels of an image
        shape = (shape[0], 1, *shape[2:])
    geometry = geometry_of(shape, block_size, shared_over)
    draw = Draw.of(geometry, 0.1, key)
    images, channels, height, width = shape
    x = torch.randn(images, channels * shared_over, height, width)
    outputs = []
    for drawn in (draw, Draw.given(geometry, torch_loops.draw_seeds(draw))):
        leaf = x.clone().requires_grad_()
        out, kept = sparse.drop_drawn(leaf, drawn)
        out.sum().backward()
        outputs.append((out, leaf.grad, kept))
    assert torch.equal(outputs[0][0], outputs[1][0])
    assert torch.equal(outputs[0][1], outputs[1][1])
    mask, mask_kept = sparse.drop_mask(draw)
    assert torch.equal(outputs[0][1] == 0, mask.expand_as(x))
    assert outputs[0][2] == outputs[1][2] == mask_kept * shared_over
    assert mask_kept == math.prod(shape) - mask.sum().item()


def test_given_seeds_that_were_changed_are_refused():
    """Backward would drop other blocks than forward did."""
    geometry = geometry_of((1, 2, 6, 6), 2)
    seeds = torch.rand(geometry.grid_shape) < 0.2
    x = torch.randn(1, 2, 6, 6, requires_grad=True)
    out, _ = sparse.drop_drawn(x, Draw.given(geometry, seeds))
    seeds.logical_not_()
    with pytest.raises(RuntimeError, match='modified by an inplace operation'):
        out.sum().backward()


@pytest.mark.parametrize('planes', [1, 1_000_000])
def test_one_plane_and_a_million(planes):
    geometry = geometry_of((1, planes, 2, 3), 2)
    draw = Draw.of(geometry, 0.1, 4)
    x = torch.ones(1, planes, 2, 3)
    out, kept = sparse.drop_drawn(x, draw)
    assert kept == (out != 0).sum().item()
    hit = torch_loops.draw_seeds(draw).flatten(2).any(-1)
    assert torch.equal((out == 0).any(-1).any(-1), hit)
