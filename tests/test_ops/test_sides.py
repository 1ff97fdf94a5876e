"""DropBlock on sequences, maps and volumes, with blocks of unequal sides."""

import itertools
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dropblock_mm
from dropblock_mm import drop_block_1d, drop_block_2d, drop_block_3d, expected_keep_rate
from dropblock_mm.ops import dense, drop_block_with_count
from dropblock_mm.ops.cpu import native, sparse, torch_loops
from dropblock_mm.ops.plan import BlockGeometry, Draw
from dropblock_mm.ops.rates import clamp_block, seed_grid
from dropblock_mm.ops.reference import reference_drop_block, reference_mask
from dropblock_mm.testing import assert_close

FUNCTIONS = {1: drop_block_1d, 2: drop_block_2d, 3: drop_block_3d}
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
SIZES = {1: (40,), 2: (13, 14), 3: (7, 8, 9)}
sides = st.integers(1, 7)
needs_compiler = pytest.mark.skipif(
    shutil.which('g++') is None, reason='Inductor needs a C++ compiler on the CPU'
)


@st.composite
def cases(draw):
    """A shape of one to three sides, and a block: one number, or one for each side."""
    dims = draw(st.integers(1, 3))
    size = draw(st.tuples(*[sides] * dims))
    block = draw(sides | st.tuples(*[st.integers(1, 8)] * dims))
    return (draw(st.integers(1, 3)), draw(st.integers(1, 4)), *size), block


def random_seeds(shape, block_size, shared_mask):
    channels = 1 if shared_mask else shape[1]
    return torch.rand(shape[0], channels, *seed_grid(block_size, shape[2:])) < 0.1


@settings(deadline=None)
@given(cases(), st.booleans(), st.integers(0, 2**31))
def test_equals_the_oracle_with_its_gradient(memory_formats, case, shared_mask, seed):
    torch.manual_seed(seed)
    shape, block_size = case
    options = dict(keep_prob=0.9, block_size=block_size, shared_mask=shared_mask)
    seeds = random_seeds(shape, block_size, shared_mask)
    values, grad = torch.randn(shape, dtype=torch.float64), torch.randn(shape)
    for dtype in DTYPES:
        for name, x in memory_formats(values.to(dtype)).items():
            leaf = x.detach().requires_grad_()
            out = FUNCTIONS[len(shape) - 2](leaf, seeds=seeds, **options)
            out.backward(grad.to(dtype))
            assert out.dtype == dtype, name
            assert out.stride() == x.sin().stride(), name
            assert_close(out, reference_drop_block(x, seeds, block_size))
            assert_close(
                leaf.grad, reference_drop_block(grad.to(dtype), seeds, block_size)
            )


@given(cases(), st.booleans(), st.integers(0, 2**31))
def test_paths_agree_bit_for_bit(case, shared_mask, seed):
    torch.manual_seed(seed)
    shape, block_size = case
    seeds = random_seeds(shape, block_size, shared_mask)
    x = torch.randn(shape)
    out, kept = drop_block_with_count(
        x,
        keep_prob=0.9,
        block_size=block_size,
        shared_mask=shared_mask,
        seeds=seeds,
        dims=x.dim() - 2,
    )
    mask = dense.drop_mask(seeds, clamp_block(block_size, shape[2:]))
    dense_out, dense_kept = dense.drop_units(x, mask)
    assert kept == dense_kept.item()
    assert torch.equal(out, dense_out)


@pytest.mark.skipif(not native.IS_BUILT, reason='there was no C compiler')
@given(cases(), st.booleans(), st.floats(0.05, 0.95), st.integers(0, 2**31))
def test_both_loops_drop_the_same(case, shared_mask, keep_prob, seed):
    shape, block_size = case
    outputs = []
    x = torch.randn(shape)
    for in_c in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sparse, 'in_c', in_c)
            torch.manual_seed(seed)
            outputs.append(
                FUNCTIONS[len(shape) - 2](
                    x,
                    keep_prob=keep_prob,
                    block_size=block_size,
                    shared_mask=shared_mask,
                )
            )
    assert torch.equal(*outputs)


@pytest.mark.parametrize('dims', [1, 3])
def test_a_line_is_a_map_of_height_1_and_a_map_a_volume_of_depth_1(dims):
    x = torch.randn(2, 8, 12) if dims == 1 else torch.randn(2, 8, 1, 12, 13)
    block = 3 if dims == 1 else (1, 4, 3)
    outputs = []
    for function, view, sides in (
        (FUNCTIONS[dims], x, block),
        (drop_block_2d, x.unsqueeze(2) if dims == 1 else x.squeeze(2), (1, 3)),
    ):
        if dims == 3 and function is drop_block_2d:
            sides = (4, 3)
        torch.manual_seed(0)
        outputs.append(function(view, keep_prob=0.6, block_size=sides).view(x.shape))
    assert torch.equal(*outputs)
    assert (outputs[0] == 0).any()


def test_equal_sides_are_one_number():
    for dims, size in SIZES.items():
        x, outputs = torch.ones(2, 4, *size), []
        for block_size in (3, (3,) * dims, [3] * dims):
            torch.manual_seed(0)
            outputs.append(FUNCTIONS[dims](x, keep_prob=0.6, block_size=block_size))
        assert torch.equal(outputs[0], outputs[1])
        assert torch.equal(outputs[0], outputs[2])


@pytest.mark.parametrize(
    ('size', 'block_size'),
    [
        ((30,), 7),
        ((5,), 30),
        ((13, 20), (2, 5)),
        ((9, 6, 11), 3),
        ((6, 7, 8), (1, 9, 4)),
    ],
)
def test_drops_whole_blocks_inside_the_map(size, block_size):
    """Every dropped unit lies in a full block of dropped units."""
    torch.manual_seed(0)
    x = torch.ones(4, 32, *size)
    out = FUNCTIONS[len(size)](x, keep_prob=0.8, block_size=block_size)
    dropped = windows = out == 0
    for dim, side in enumerate(clamp_block(block_size, size), start=2):
        windows = windows.unfold(dim, side, 1).all(-1)
    assert windows.any()
    assert torch.equal(reference_mask(windows, block_size, size) == 0, dropped)


@pytest.mark.parametrize('calibrated', [False, True])
@pytest.mark.parametrize('shared_mask', [False, True])
@pytest.mark.parametrize(
    ('size', 'block_size', 'keep_prob'),
    [
        ((60,), 7, 0.9),
        ((20, 31), (3, 9), 0.5),
        ((9, 10, 11), 3, 0.8),
        ((4, 9, 16), (8, 2, 5), 0.7),
    ],
)
def test_keep_rate(size, block_size, keep_prob, shared_mask, calibrated):
    """Five standard errors, so one run in 10^6 fails by chance."""
    torch.manual_seed(0)
    planes = 1024
    shape = (planes, 1, *size) if shared_mask else (4, planes // 4, *size)
    options = dict(keep_prob=keep_prob, block_size=block_size, calibrated=calibrated)
    out = FUNCTIONS[len(size)](torch.ones(shape), shared_mask=shared_mask, **options)
    rates = (out != 0).view(planes, -1).double().mean(1)  # independent planes
    expected = expected_keep_rate(feature_size=size, **options)
    error = 5 * rates.std().item() / planes**0.5
    assert abs(rates.mean().item() - expected) < error


@pytest.mark.parametrize('dims', [1, 3])
def test_seeds_fall_evenly(dims):
    """Chi-square of the counts per position, at five standard errors."""
    torch.manual_seed(0)
    size, planes, gamma = SIZES[dims], 4000, 0.02
    plan_shape = (1, planes, *size)
    geometry = BlockGeometry(plan_shape, (2,) * dims)
    draw = Draw.of(geometry, gamma, int(torch.randint(2**63 - 1, ())))
    seeds = torch_loops.draw_seeds(draw)  # whose blocks are the mask of either loops
    assert torch.equal(sparse.drop_mask(draw)[0], dense.drop_mask(seeds, (2,) * dims))
    counts = seeds.sum((0, 1)).double().flatten()
    variance = planes * gamma * (1 - gamma)
    chi_square = ((counts - planes * gamma) ** 2 / variance).sum().item()
    positions = counts.numel()
    assert abs(chi_square - positions) < 5 * (2 * positions) ** 0.5


@pytest.mark.parametrize('dims', [1, 3])
def test_gradcheck(dims):
    x = torch.randn(1, 2, *(4, 3, 5)[:dims], dtype=torch.float64, requires_grad=True)
    seeds = random_seeds(x.shape, 2, False)

    def function(x):
        return FUNCTIONS[dims](x, keep_prob=0.9, block_size=2, seeds=seeds)

    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


@pytest.mark.parametrize('dims', [1, 3])
@pytest.mark.parametrize(
    ('backend', 'calibrated'),
    [
        ('aot_eager', False),
        ('aot_eager', True),
        pytest.param('inductor', False, marks=needs_compiler),
    ],
)
def test_compiled_forward_and_backward_share_a_mask(dims, backend, calibrated):
    torch.compiler.reset()
    torch.manual_seed(0)
    compiled = torch.compile(
        lambda x, rate: FUNCTIONS[dims](
            x * 2, keep_prob=rate, block_size=3, calibrated=calibrated
        ),
        backend=backend,
        fullgraph=True,
    )
    for rate in (0.6, 0.7):
        x = torch.randn(2, 8, *SIZES[dims], requires_grad=True)
        out = compiled(x, torch.tensor(rate))
        out.sum().backward()
        assert torch.equal(out == 0, x.grad == 0)
        torch.testing.assert_close(out, x * x.grad)
        assert (out == 0).any()


@pytest.mark.parametrize('dims', [1, 3])
def test_other_rates_and_tensors(dims):
    x, drop = torch.randn(2, 3, *SIZES[dims]), FUNCTIONS[dims]
    assert drop(x, keep_prob=0.1, block_size=3, training=False) is x
    assert drop(x, keep_prob=1.0, block_size=3) is x
    # One block covers the map, and gamma is 1.
    assert not drop(x, keep_prob=0.0, block_size=50).any()
    assert drop(x[:0], keep_prob=0.5, block_size=3).shape == (0, 3, *SIZES[dims])
    on_meta = drop(x.to('meta'), keep_prob=0.5, block_size=3, calibrated=True)
    assert on_meta.shape == x.shape


@pytest.mark.parametrize('dims', [1, 2, 3])
def test_saves_next_to_nothing_for_backward(dims):
    x = torch.ones(4, 256, *SIZES[dims], requires_grad=True)
    saved = []

    def record(tensor):
        saved.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        out = FUNCTIONS[dims](x, keep_prob=0.9, block_size=3)
    assert sum(saved) < 0.02 * x.numel() * x.element_size()
    out.sum().backward()
    assert torch.equal(x.grad == 0, out == 0)


@pytest.mark.parametrize('dims', [1, 2, 3])
def test_bad_input_is_named(dims):
    drop, size = FUNCTIONS[dims], SIZES[dims]
    x = torch.ones(1, 1, *size)
    with pytest.raises(ValueError, match=r'x has shape .* needs a batch of'):
        drop(x[0], keep_prob=0.9, block_size=3)
    with pytest.raises(ValueError, match=f'block_size=.* the feature map has {dims}'):
        drop(x, keep_prob=0.9, block_size=(3,) * (dims + 1))
    with pytest.raises(ValueError, match=r'block_size\[0\]=0 is below 1'):
        drop(x, keep_prob=0.9, block_size=(0,) * dims)
    with pytest.raises(TypeError, match=r'block_size\[0\]=1\.5 is not a whole'):
        drop(x, keep_prob=0.9, block_size=[1.5] * dims)
    with pytest.raises(TypeError, match=f'drop_block_{dims}d takes keep_prob by name'):
        drop(x, 0.1, 3)
    seeds = torch.ones(x.shape, dtype=torch.bool)
    blocks = ' x '.join(['3'] * dims)
    with pytest.raises(ValueError, match=f'seeds has shape .* blocks of {blocks} it'):
        drop(x, keep_prob=0.9, block_size=3, seeds=seeds)


@pytest.mark.parametrize('block_size', [3, 5])
@pytest.mark.parametrize('dims', [2, 3])
def test_torchvisions_drops_as_much(dims, block_size):
    """Its mean and its variance by plane; it draws for the whole tensor at once."""
    ops = pytest.importorskip(
        'torchvision.ops', reason='torchvision is the other side of the comparison'
    )
    torch.manual_seed(0)
    x = torch.ones(600, 1, *(9, 10, 11)[:dims])
    theirs = getattr(ops, f'drop_block{dims}d')(x, 0.2, block_size)
    ours = FUNCTIONS[dims](x, keep_prob=0.8, block_size=block_size)
    rates = [(out != 0).double().flatten(1).mean(1) for out in (ours, theirs)]
    error = sum(rate.var() / len(rate) for rate in rates).sqrt().item()
    assert abs(rates[0].mean() - rates[1].mean()).item() < 5 * error
    spreads = [rate.var().item() for rate in rates]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.4)


def test_functions_are_public():
    for dims, function in FUNCTIONS.items():
        assert getattr(dropblock_mm, f'drop_block_{dims}d') is function
    assert sparse.in_c is native.IS_BUILT


def test_every_position_of_a_small_volume_is_hit():
    torch.manual_seed(0)
    x = torch.ones(1, 4000, 3, 2, 4)
    out = drop_block_3d(x, keep_prob=0.5, block_size=(2, 1, 3))
    dropped = (out == 0).sum((0, 1))
    for place in itertools.product(range(3), range(2), range(4)):
        assert dropped[place] > 0
