"""The kernels, on the GPU if there is one, else in Triton's interpreter."""

import importlib.util

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropblock_mm import drop_block_2d, expected_keep_rate, seed_rate
from dropblock_mm.ops import dense
from dropblock_mm.ops.rates import clamp_block, seed_grid
from dropblock_mm.ops.reference import reference_drop_block
from dropblock_mm.testing import assert_close

if importlib.util.find_spec('triton') is None:
    pytest.skip('needs triton', allow_module_level=True)

import triton
import triton.language as tl

from dropblock_mm.ops.gpu import kernels
from dropblock_mm.ops.gpu.kernels import count_kept, keep_mask, scale_and_drop

DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
pytestmark = pytest.mark.usefixtures('triton_interpreter')
needs_gpu = pytest.mark.skipif(DEVICE.type == 'cpu', reason='needs a CUDA device')
# The interpreter runs each program in Python: there, what repeats a case that runs
# anyway at another size waits for the night.
REPEATS = [] if DEVICE.type == 'cuda' else [pytest.mark.nightly]

shapes = st.tuples(
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 20), st.integers(1, 80)
)
LAYOUTS = {
    'contiguous': lambda x: x,
    'channels_last': lambda x: x.contiguous(memory_format=torch.channels_last),
    'transposed': lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    'strided': lambda x: torch.stack([x, x], dim=-1)[..., 0],
    'offset': lambda x: torch.cat([x, x])[x.shape[0] :],
    'overlapping': lambda x: x[:, :1, :, :1].expand(x.shape),
}


def on_device(number, dtype):
    return torch.tensor(number, dtype=dtype, device=DEVICE)


def random_seeds(shape, block_size, share, shared_mask):
    channels = 1 if shared_mask else shape[1]
    grid = seed_grid(block_size, shape[2:])
    return torch.rand(shape[0], channels, *grid, device=DEVICE) < share


def drop(x, gamma, key, block_size, shared_mask=False, seeds=None):
    """Forward, as an autograd function would call it."""
    shape = (x.shape[0], 1 if shared_mask else x.shape[1], *x.shape[2:])
    block = clamp_block(block_size, shape[2:])
    gamma, key = on_device(gamma, torch.float32), on_device(key, torch.int64)
    kept = count_kept(gamma, key, shape, block, seeds)
    return scale_and_drop(x, gamma, key, kept, shape, block, seeds), kept


def dropped(shape, gamma, key, block_size):
    """BoolTensor[shape], True where a unit is dropped."""
    block = clamp_block(block_size, shape[2:])
    gamma, key = on_device(gamma, torch.float32), on_device(key, torch.int64)
    return ~keep_mask(gamma, key, shape, block)


# ---- given seeds: the same as the other paths, bit for bit


@pytest.mark.parametrize('layout', LAYOUTS)
@given(shapes, st.integers(1, 25), st.booleans(), st.sampled_from(DTYPES), st.data())
@settings(max_examples=5, deadline=None)
def test_equals_the_dense_path(layout, shape, block_size, shared_mask, dtype, data):
    torch.manual_seed(data.draw(st.integers(0, 2**31)))
    share = data.draw(st.sampled_from([0.0, 0.02, 0.3, 1.0]))
    seeds = random_seeds(shape, block_size, share, shared_mask)
    x = LAYOUTS[layout](torch.randn(shape, device=DEVICE).to(dtype))
    out, mask_kept = drop(x, 0.5, 1, block_size, shared_mask, seeds)
    mask = dense.drop_mask(seeds, clamp_block(block_size, shape[2:]))
    expected, kept = dense.drop_units(x, mask)
    assert torch.equal(out, expected)
    assert out.dtype == dtype
    assert out.stride() == torch.empty_like(x).stride()
    assert mask_kept.item() == (~mask).sum().item()
    assert mask_kept.item() * x.numel() == kept.item() * mask.numel()


@given(shapes, st.integers(1, 25), st.booleans(), st.integers(0, 2**31))
@settings(max_examples=8, deadline=None)
def test_equals_the_oracle(shape, block_size, shared_mask, seed):
    torch.manual_seed(seed)
    seeds = random_seeds(shape, block_size, 0.1, shared_mask)
    x = torch.randn(shape, device=DEVICE)
    out, _ = drop(x, 0.5, 1, block_size, shared_mask, seeds)
    assert_close(out.cpu(), reference_drop_block(x.cpu(), seeds.cpu(), block_size))


@pytest.mark.parametrize(
    ('shape', 'block_size'),
    [
        ((2, 3, 1, 1), 1),
        pytest.param((1, 1, 24, 140), 7, marks=REPEATS),  # cells of 8 x 128
        ((1, 2, 7, 257), 2),  # and of 1 x 128
        ((1, 1, 300, 5), 300),
        ((2, 40, 14, 14), 7),
    ],
)
@pytest.mark.parametrize('layout', ['contiguous', 'channels_last'])
def test_equals_the_dense_path_where_planes_are_cut(shape, block_size, layout):
    torch.manual_seed(0)
    seeds = random_seeds(shape, block_size, 0.2 / block_size**2, False)
    x = LAYOUTS[layout](torch.randn(shape, device=DEVICE))
    out, _ = drop(x, 0.5, 1, block_size, False, seeds)
    mask = dense.drop_mask(seeds, clamp_block(block_size, shape[2:]))
    assert torch.equal(out, dense.drop_units(x, mask)[0])


@pytest.mark.parametrize('dtype', DTYPES)
def test_dropped_units_are_zero_whatever_they_were(dtype):
    seeds = torch.zeros(1, 2, 3, 3, dtype=torch.bool, device=DEVICE)
    seeds[0, 0, 1, 1] = True
    for value in (float('nan'), float('inf'), -float('inf')):
        x = torch.full((1, 2, 5, 5), value, dtype=dtype, device=DEVICE)
        out, _ = drop(x, 0.5, 1, 3, seeds=seeds)
        assert not out[0, 0, 1:4, 1:4].any()
        assert (~out.isfinite()).sum() == 50 - 9


def test_nothing_kept_is_zero():
    out, kept = drop(torch.randn(2, 3, 4, 4, device=DEVICE), 1.0, 1, 4)
    assert kept.item() == 0
    assert not out.any()


def test_leaves_the_input_alone_and_returns_a_fresh_tensor():
    x = torch.randn(2, 3, 8, 8, device=DEVICE)
    for view in (layout(x) for layout in LAYOUTS.values()):
        before = view.clone()
        out, _ = drop(view, 0.1, 1, 3)
        out.zero_()
        assert torch.equal(view, before)


# ---- the same draw in every kernel, tile and memory format


@pytest.mark.parametrize(
    ('shape', 'block_size', 'gamma'),
    [
        pytest.param((2, 8, 40, 40), 7, 0.003, marks=REPEATS),
        ((1, 3, 24, 40), 7, 0.05),  # far more seeds than are drawn at once
        pytest.param((1, 2, 50, 140), 7, 0.003, marks=REPEATS),
        ((2, 20, 12, 9), 1, 0.1),
        ((3, 33, 7, 7), 7, 0.3),
        ((5, 7, 1, 1), 3, 0.5),
        pytest.param((1, 1, 4, 2200), 2, 0.02, marks=REPEATS),
    ],
)
def test_kernels_agree_on_the_mask(shape, block_size, gamma):
    mask = dropped(shape, gamma, 5, block_size)
    assert 0 < mask.sum() < mask.numel()
    for layout in ('contiguous', 'channels_last', 'transposed'):
        x = LAYOUTS[layout](torch.ones(shape, device=DEVICE))
        out, kept = drop(x, gamma, 5, block_size)
        assert torch.equal(out == 0, mask)
        assert kept.item() == (~mask).sum().item()
    double, _ = drop(torch.ones(shape, device=DEVICE).double(), gamma, 5, block_size)
    assert torch.equal(double == 0, mask)
    assert double.mean().item() == pytest.approx(1.0, rel=1e-12)


def test_a_shared_mask_is_the_mask_of_one_channel():
    x = torch.ones(3, 6, 20, 20, device=DEVICE)
    out, kept = drop(x, 0.01, 9, 5, shared_mask=True)
    mask = dropped((3, 1, 20, 20), 0.01, 9, 5)
    assert torch.equal(out == 0, mask.expand_as(x))
    assert kept.item() == (~mask).sum().item()
    assert not torch.equal(mask[0], mask[1])


@pytest.mark.parametrize(
    ('one', 'other'), [(0, 1), (7, 7 + 2**32), (2**62, 2**62 + 1), (2**63 - 1, 1)]
)
def test_each_key_draws_a_mask_of_its_own(one, other):
    masks = [dropped((1, 4, 20, 20), 0.1, key, 1) for key in (one, other, one)]
    assert torch.equal(masks[0], masks[2])
    # Independent masks agree in 1 - 2 * .1 * .9 = 82 % of the units.
    assert 0.75 < (masks[0] == masks[1]).double().mean() < 0.89


@pytest.mark.parametrize('size', [(1, 1), (7, 7), (9, 70)])
@pytest.mark.parametrize('block_size', [1, 3, 7])
def test_gamma_0_drops_nothing_and_gamma_1_everything(size, block_size):
    shape = (2, 3, *size)
    assert not dropped(shape, 0.0, 3, block_size).any()
    assert dropped(shape, 1.0, 3, block_size).all()


@pytest.mark.parametrize(
    ('size', 'block_size'),
    [((14, 14), 7), ((20, 9), 4), ((40, 40), 3), ((7, 7), 7), ((5, 8), 30)],
)
def test_drops_whole_blocks_inside_the_map(size, block_size):
    """Every dropped unit lies in a full block of dropped units."""
    shape = (4, 16, *size)
    mask = dropped(
        shape,
        seed_rate(keep_prob=0.7, block_size=block_size, feature_size=size),
        11,
        block_size,
    )
    block = clamp_block(block_size, size)
    full = mask.unfold(2, block[0], 1).unfold(3, block[1], 1).all(-1).all(-1)
    assert full.any()
    assert torch.equal(dense.drop_mask(full, block), mask)


# ---- distribution: five standard errors, so one run in 10^6 fails by chance


@pytest.mark.parametrize(
    ('size', 'gamma'),
    [
        ((5, 6), 0.1),
        pytest.param((12, 31), 0.1, marks=REPEATS),
        pytest.param((4, 31), 0.6, marks=REPEATS),
        ((3, 70), 0.01),
    ],
)
def test_seeds_fall_evenly_over_positions(size, gamma):
    """Blocks of one unit are the seeds. Chi-square of the counts per position."""
    planes = 1000
    mask = dropped((planes, 1, *size), gamma, 21, 1).double()
    counts = mask.sum((0, 1))
    variance = planes * gamma * (1 - gamma)
    chi_square = ((counts - planes * gamma) ** 2 / variance).sum().item()
    positions = counts.numel()
    # Chi-square has mean k and standard deviation sqrt(2 k).
    assert abs(chi_square - positions) < 5 * (2 * positions) ** 0.5


def test_seeds_are_independent_of_their_neighbours():
    """Correlation along columns, rows and planes, across the borders of cells."""
    mask = dropped((1024, 1, 20, 40), 0.1, 22, 1).double()
    mask = (mask - 0.1) / 0.3
    for axis in (0, 2, 3):
        neighbour = mask.roll(1, axis)
        correlation = (mask * neighbour).mean().item()
        assert abs(correlation) < 5 / mask.numel() ** 0.5


def test_number_of_seeds_in_a_plane_is_binomial():
    """Not only the mean: draws that ran short would narrow it."""
    positions, gamma = 100, 0.2
    counts = dropped((2000, 1, 10, 10), gamma, 23, 1).sum((1, 2, 3)).double().cpu()
    variance = positions * gamma * (1 - gamma)
    # Of a sample's variance, for a variable that is nearly normal.
    error = variance * (2 / 2000) ** 0.5
    assert abs(counts.var().item() - variance) < 5 * error
    assert abs(counts.mean().item() - positions * gamma) < 5 * (variance / 2000) ** 0.5


@pytest.mark.parametrize(
    ('size', 'block_size', 'keep_prob', 'planes'),
    [
        pytest.param((40, 40), 7, 0.9, 512, marks=REPEATS),
        ((50, 20), 7, 0.9, 512),
        ((33, 33), 8, 0.2, 64),
        ((7, 7), 9, 0.9, 512),
        ((100, 90), 7, 0.9, 64),
    ],
)
def test_keep_rate(size, block_size, keep_prob, planes):
    gamma = seed_rate(keep_prob=keep_prob, block_size=block_size, feature_size=size)
    mask = dropped((planes, 1, *size), gamma, 31, block_size)
    rates = 1 - mask.view(planes, -1).double().mean(1)  # independent planes
    expected = expected_keep_rate(
        keep_prob=keep_prob, block_size=block_size, feature_size=size
    )
    standard_error = rates.std().item() / planes**0.5
    assert abs(rates.mean().item() - expected) < 5 * standard_error


# ---- random numbers, and numbers beyond 32 bits


def philox(key, counter):
    """Philox4x32-10 of Salmon et al., 2011, on whole numbers; the first word."""
    c, k = list(counter), [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        left, right = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [
            right >> 32 ^ c[1] ^ k[0],
            right & 0xFFFFFFFF,
            left >> 32 ^ c[3] ^ k[1],
            left & 0xFFFFFFFF,
        ]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c[0]


def test_the_philox_above_gives_the_published_numbers():
    assert philox(0, (0, 0, 0, 0)) == 0x6627E8D5
    assert philox(2**64 - 1, (2**32 - 1,) * 4) == 0x408F276D


@triton.jit
def _gaps_kernel(out_ptr, key_ptr, planes_ptr, gamma_ptr, longest, size: tl.constexpr):
    index = tl.arange(0, size)
    plane = tl.load(planes_ptr + index)
    gamma = tl.load(gamma_ptr)
    gaps = kernels._geometric_gaps(
        tl.load(key_ptr), plane, index * 0 + 3, index, gamma, longest
    )
    tl.store(out_ptr + index, gaps)


def gaps_of(planes, gamma, key, longest=2**20):
    planes = torch.tensor(planes, dtype=torch.int64, device=DEVICE)
    out = torch.empty(len(planes), dtype=torch.int32, device=DEVICE)
    key, gamma = on_device(key, torch.int64), on_device(gamma, torch.float32)
    _gaps_kernel[(1,)](out, key, planes, gamma, longest, size=len(planes))
    return out.tolist()


@pytest.mark.parametrize('gamma', [1e-5, 0.003, 0.3, 0.999])
@pytest.mark.parametrize('key', [1, 2**40 + 7, 2**63 - 1])
def test_gaps_are_geometric_in_numbers_of_philox(gamma, key):
    planes = [0, 5, 2**31 + 5, 2**32 + 5, 2**40, 2**40 + 2**32, 7, 8] * 16
    gaps = gaps_of(planes, gamma, key)
    for draw, (plane, gap) in enumerate(zip(planes, gaps, strict=True)):
        counter = (draw, 3, plane & 0xFFFFFFFF, plane >> 32)
        w = (philox(key, counter) + 0.5) / 2**32
        exact = np.log1p(-w) / np.log1p(-np.float64(np.float32(gamma)))
        # fp32 carries an error of 1e-6 over the next whole number now and then.
        assert abs(gap - (exact + 0.5)) <= 0.5 + 2e-6 * exact


def test_streams_of_planes_beyond_32_bits_do_not_repeat():
    planes = [2**k + 1 for k in range(64) if k < 63][:32] + [2**k for k in range(32)]
    gaps = gaps_of([5, 5 + 2**31, 5 + 2**32, 5 + 2**33], 1e-5, 1)
    assert len(set(gaps)) == 4
    assert len(set(gaps_of(planes, 1e-5, 1))) > 60


def test_a_gap_never_passes_the_limit():
    assert gaps_of([1, 2, 3, 4], 0.0, 1, longest=1000) == [1001] * 4


@pytest.mark.skipif(DEVICE.type == 'cuda', reason='a GPU has no sparse files')
@pytest.mark.parametrize('long_axis', [0, 1])
def test_units_beyond_32_bits_of_offset(tmp_path, long_axis):
    """Planes that lie 2^32 units apart, in files without content.

    The interpreter mishandles arguments of 2^31 ... 2^32 - 1, hence not less.
    """
    shape, step = (2, 2, 5, 6), 2**32 + 64
    strides = [64, 64, 6, 1]
    strides[long_axis] = step
    views = []
    for name in ('x', 'out'):
        file = tmp_path / name
        memory = torch.from_file(
            str(file), shared=True, size=step + 256, dtype=torch.half
        )
        file.unlink()  # it lives on while it is mapped
        views.append(memory.as_strided(shape, strides))
    x, out = views
    torch.manual_seed(0)
    x.copy_(torch.randn(shape))
    seeds = random_seeds(shape, 3, 0.2, False)
    kept = (~dense.drop_mask(seeds, (3, 3))).sum()
    gamma, key = torch.tensor(0.1), torch.tensor(1)
    kernels._write(x, out, gamma, key, kept, False, (3, 3), seeds)
    expected, _ = dense.drop_units(x, dense.drop_mask(seeds, (3, 3)))
    assert torch.equal(out, expected)


@pytest.mark.parametrize(
    'shape', [pytest.param((1_000_000, 1, 1, 1), marks=REPEATS), (1, 1, 9, 9)]
)
def test_one_plane_and_a_million(shape):
    gamma = 0.1
    out, kept = drop(torch.ones(shape, device=DEVICE), gamma, 1, 1)
    assert kept.item() == (out != 0).sum().item()
    error = 5 * (out.numel() * gamma * (1 - gamma)) ** 0.5
    assert abs(kept.item() - 0.9 * out.numel()) < error


def test_indices_are_64_bits_wide_where_32_might_not_do(monkeypatch):
    """Both kinds of index must give the same mask: compare them on a small map."""
    shape, gamma = (2, 6, 9, 11), 0.1
    short = dropped(shape, gamma, 4, 3)
    x = torch.ones(shape, device=DEVICE).contiguous(memory_format=torch.channels_last)
    monkeypatch.setattr(kernels, '_LONG', 0)
    assert torch.equal(dropped(shape, gamma, 4, 3), short)
    out, kept = drop(x, gamma, 4, 3)
    assert torch.equal(out == 0, short)
    assert kept.item() == (~short).sum().item()


# ---- on a GPU


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('layout', LAYOUTS)
def test_the_gpu_and_the_cpu_agree(layout, dtype):
    torch.manual_seed(0)
    x = LAYOUTS[layout](torch.randn(4, 8, 40, 40, device=DEVICE).to(dtype))
    seeds = random_seeds(x.shape, 7, 0.003, False)
    out, _ = drop(x, 0.5, 1, 7, seeds=seeds)
    expected = drop_block_2d(x.cpu(), keep_prob=0.9, block_size=7, seeds=seeds.cpu())
    assert torch.equal(out.cpu(), expected)


@pytest.mark.gpu
@needs_gpu
def test_waits_for_nothing_on_a_gpu():
    x = torch.randn(2, 64, 40, 40, device=DEVICE)
    gamma, key = on_device(0.003, torch.float32), on_device(7, torch.int64)
    shape, block = tuple(x.shape), (7, 7)

    def step():
        kept = count_kept(gamma, key, shape, block)
        keep_mask(gamma, key, shape, block)
        return scale_and_drop(x, gamma, key, kept, shape, block)

    expected = step()  # compiles
    torch.cuda.set_sync_debug_mode('error')
    try:
        out = step()
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert torch.equal(out, expected)
