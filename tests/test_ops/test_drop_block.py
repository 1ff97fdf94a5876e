import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from dropblock_mm import drop_block_2d, expected_keep_rate, seed_rate
from dropblock_mm.ops import dense, drop_block_with_count
from dropblock_mm.ops.plan import make_plan
from dropblock_mm.ops.rates import clamp_block, seed_grid
from dropblock_mm.ops.reference import reference_drop_block, reference_mask
from dropblock_mm.testing import assert_close

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
shapes = st.tuples(
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 12), st.integers(1, 12)
)


def random_seeds(shape, block_size, share=0.1, shared_mask=False):
    channels = 1 if shared_mask else shape[1]
    return torch.rand(shape[0], channels, *seed_grid(block_size, shape[2:])) < share


@given(shapes, st.integers(1, 14), st.booleans(), st.integers(0, 2**31))
@example((1, 3, 1, 6), 2, False, 895)  # 4e-6 in half precision, which is subnormal
def test_equals_the_oracle(memory_formats, shape, block_size, shared_mask, seed):
    torch.manual_seed(seed)
    seeds = random_seeds(shape, block_size, 0.15, shared_mask)
    values = torch.randn(shape, dtype=torch.float64)
    for dtype in DTYPES:
        for name, x in memory_formats(values.to(dtype)).items():
            out = drop_block_2d(
                x,
                keep_prob=0.9,
                block_size=block_size,
                shared_mask=shared_mask,
                seeds=seeds,
            )
            assert out.dtype == dtype, name
            assert_close(out, reference_drop_block(x, seeds, block_size))


@given(shapes, st.integers(1, 14), st.booleans(), st.integers(0, 2**31))
def test_gradient_equals_the_oracle(
    memory_formats, shape, block_size, shared_mask, seed
):
    torch.manual_seed(seed)
    seeds = random_seeds(shape, block_size, 0.15, shared_mask)
    grad = torch.randn(shape)
    for x in memory_formats(torch.randn(shape)).values():
        x = x.detach().requires_grad_()
        out = drop_block_2d(
            x,
            keep_prob=0.9,
            block_size=block_size,
            shared_mask=shared_mask,
            seeds=seeds,
        )
        out.backward(grad)
        # The op is linear in x with a diagonal matrix: backward is forward.
        assert_close(x.grad, reference_drop_block(grad, seeds, block_size))


@given(shapes, st.integers(1, 14), st.booleans(), st.integers(0, 2**31))
def test_dense_path_equals_the_sparse_one(shape, block_size, shared_mask, seed):
    torch.manual_seed(seed)
    seeds = random_seeds(shape, block_size, 0.15, shared_mask)
    x = torch.randn(shape)
    out, kept = drop_block_with_count(
        x, keep_prob=0.9, block_size=block_size, shared_mask=shared_mask, seeds=seeds
    )
    mask = dense.drop_mask(seeds, clamp_block(block_size, shape[2:]))
    dense_out, dense_kept = dense.drop_units(x, mask)
    assert kept == dense_kept.item()
    assert torch.equal(out, dense_out)


@pytest.mark.parametrize('shared_mask', [False, True])
def test_gradcheck(shared_mask):
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    seeds = random_seeds(x.shape, 3, 0.1, shared_mask)

    def function(x):
        return drop_block_2d(
            x, keep_prob=0.9, block_size=3, shared_mask=shared_mask, seeds=seeds
        )

    assert torch.autograd.gradcheck(function, x)
    assert torch.autograd.gradgradcheck(function, x)


@pytest.mark.parametrize(
    ('size', 'block_size'),
    [((14, 14), 7), ((20, 9), 4), ((9, 20), 1), ((7, 7), 7), ((5, 8), 30)],
)
def test_drops_whole_blocks_inside_the_map(size, block_size):
    """Every dropped unit lies in a full block of dropped units."""
    torch.manual_seed(0)
    x = torch.ones(4, 16, *size)
    dropped = drop_block_2d(x, keep_prob=0.7, block_size=block_size) == 0
    block = clamp_block(block_size, size)
    windows = dropped.unfold(2, block[0], 1).unfold(3, block[1], 1)
    full = windows.all(-1).all(-1)  # every place where a whole block is dropped
    assert full.any()
    rebuilt = reference_mask(full, block_size, size) == 0
    assert torch.equal(rebuilt, dropped)


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_keeps_dtype_and_memory_format(layout):
    for dtype in DTYPES:
        x = torch.randn(2, 4, 10, 12).to(dtype).contiguous(memory_format=layout)
        out = drop_block_2d(x, keep_prob=0.5, block_size=3)
        assert out.dtype == dtype
        assert out.stride() == x.stride()


def test_returns_a_fresh_tensor_and_leaves_the_input_alone():
    x = torch.randn(2, 4, 10, 12)
    before = x.clone()
    out = drop_block_2d(x, keep_prob=0.5, block_size=3)
    out.add_(1)  # as `out += identity` and in-place ReLU do
    assert torch.equal(x, before)


def test_in_place_neighbours_keep_the_gradient_right():
    seeds = random_seeds((2, 3, 6, 6), 2)
    x = torch.randn(2, 3, 6, 6, requires_grad=True)
    identity = torch.randn(2, 3, 6, 6)
    out = drop_block_2d(x, keep_prob=0.9, block_size=2, seeds=seeds)
    out += identity
    out = torch.relu_(out)
    out.sum().backward()
    gate = (reference_drop_block(x, seeds, 2) + identity > 0).double()
    assert_close(x.grad, reference_drop_block(gate, seeds, 2))


def test_is_the_identity_in_eval_and_at_keep_prob_1():
    x = torch.randn(2, 3, 8, 8)
    assert drop_block_2d(x, keep_prob=0.1, block_size=3, training=False) is x
    assert torch.equal(drop_block_2d(x, keep_prob=1.0, block_size=3), x)
    assert torch.equal(drop_block_2d(x, keep_prob=0.5, block_size=3, gamma_scale=0), x)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('calibrated', [False, True])
def test_is_finite_at_keep_prob_0(dtype, calibrated):
    for size in [(1, 1), (7, 7), (9, 13)]:
        x = torch.randn(2, 3, *size).to(dtype).requires_grad_()
        out = drop_block_2d(x, keep_prob=0.0, block_size=7, calibrated=calibrated)
        out.sum().backward()
        assert out.isfinite().all()
        assert x.grad.isfinite().all()
    if calibrated:
        assert not out.any()


def test_nothing_kept_is_zero():
    x = torch.randn(1, 2, 4, 4, requires_grad=True)
    # One block covers the map, gamma is 1.
    out = drop_block_2d(x, keep_prob=0.0, block_size=4)
    out.sum().backward()
    assert not out.any()
    assert not x.grad.any()


def test_a_dropped_infinity_is_zero():
    x = torch.full((1, 1, 4, 4), float('inf'))
    seeds = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    seeds[0, 0, 0, 0] = True
    out = drop_block_2d(x, keep_prob=0.9, block_size=2, seeds=seeds)
    assert not out[0, 0, :2, :2].any()


def test_the_count_survives_fp16():
    """65,504 is the largest fp16 number; more units than that are kept here."""
    x = torch.ones(2, 64, 40, 40, dtype=torch.float16)
    out, kept = drop_block_with_count(x, keep_prob=0.9, block_size=7)
    assert kept > 65504
    assert out.float().mean().item() == pytest.approx(1.0, rel=1e-3)


def test_mean_is_preserved_over_the_whole_tensor():
    x = torch.ones(3, 5, 17, 23, dtype=torch.float64)
    out = drop_block_2d(x, keep_prob=0.8, block_size=5)
    assert out.mean().item() == pytest.approx(1.0, rel=1e-12)
    # Not per image or per channel, where the dropped share differs.
    assert len(out.amax(dim=(1, 2, 3)).unique()) == 1
    assert len(out.mean(dim=(2, 3)).unique()) > 1


def test_masks_are_per_channel_unless_shared():
    torch.manual_seed(0)
    x = torch.ones(2, 8, 20, 20)
    dropped = drop_block_2d(x, keep_prob=0.5, block_size=5) == 0
    shared = drop_block_2d(x, keep_prob=0.5, block_size=5, shared_mask=True) == 0
    assert not torch.equal(dropped[:, 0], dropped[:, 1])
    assert torch.equal(shared, shared[:, :1].expand_as(shared))
    assert not torch.equal(shared[0], shared[1])
    assert shared.any()


def test_same_seed_same_mask_in_every_layout(memory_formats):
    x = torch.randn(2, 6, 12, 14)
    outputs = []
    for view in memory_formats(x).values():
        torch.manual_seed(3)
        outputs.append(drop_block_2d(view, keep_prob=0.6, block_size=4))
    generator = torch.Generator().manual_seed(3)
    outputs.append(drop_block_2d(x, keep_prob=0.6, block_size=4, generator=generator))
    assert all(torch.equal(out, outputs[0]) for out in outputs)
    assert not torch.equal(drop_block_2d(x, keep_prob=0.6, block_size=4), outputs[0])


def test_a_generator_leaves_the_global_one_alone():
    state = torch.get_rng_state()
    drop_block_2d(
        torch.ones(1, 2, 9, 9), keep_prob=0.5, block_size=3, generator=torch.Generator()
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_a_tensor_keep_prob_equals_the_number():
    x = torch.randn(2, 6, 12, 14, dtype=torch.float64)
    torch.manual_seed(0)
    expected = drop_block_2d(x, keep_prob=0.5, block_size=4)
    torch.manual_seed(0)
    assert torch.equal(
        drop_block_2d(x, keep_prob=torch.tensor(0.5), block_size=4), expected
    )


@pytest.mark.parametrize('shape', [(0, 3, 8, 8), (2, 0, 8, 8), (2, 3, 0, 8)])
def test_empty_batches_pass_through(shape):
    x = torch.zeros(shape, requires_grad=True)
    out = drop_block_2d(x, keep_prob=0.5, block_size=3)
    out.sum().backward()
    assert out.shape == shape


def test_runs_on_the_meta_device():
    x = torch.empty(2, 3, 8, 9, device='meta', dtype=torch.float16)
    for keep_prob in (0.9, torch.tensor(0.9, device='meta')):
        out = drop_block_2d(x, keep_prob=keep_prob, block_size=3)
        assert (out.shape, out.dtype) == (x.shape, x.dtype)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('block_size', [1, 3, 7])
def test_saves_next_to_nothing_for_backward(block_size, dtype):
    x = torch.ones(2, 256, 40, 40, dtype=dtype, requires_grad=True)
    saved = []

    def record(tensor):
        saved.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        out = drop_block_2d(x, keep_prob=0.9, block_size=block_size)
    assert sum(saved) < 0.02 * x.numel() * x.element_size()
    # And what backward has instead is the mask of forward.
    out.sum().backward()
    assert torch.equal(x.grad == 0, out == 0)
    assert (out == 0).any()


def test_the_default_device_is_not_where_masks_of_cpu_tensors_are_drawn():
    """Memory of another device would be written to as if it were the CPU's."""
    x = torch.ones(2, 8, 20, 20, requires_grad=True)
    for keep_prob in (0.9, 0.1):  # by gaps, by a number for every place
        torch.manual_seed(0)
        expected = drop_block_2d(x, keep_prob=keep_prob, block_size=1)
        torch.manual_seed(0)
        with torch.device('meta'):
            out = drop_block_2d(x, keep_prob=keep_prob, block_size=1)
            out.sum().backward()
        assert torch.equal(out, expected)
        assert torch.equal(x.grad, expected)
        x.grad = None


def test_tracing_in_training_mode_is_refused():
    x = torch.ones(2, 3, 8, 8)
    with pytest.raises(RuntimeError, match=r'Call model\.eval\(\) before tracing'):
        torch.jit.trace(lambda x: drop_block_2d(x, keep_prob=0.5, block_size=3), x)
    traced = torch.jit.trace(
        lambda x: drop_block_2d(x, keep_prob=0.5, block_size=3, training=False) + 1, x
    )
    assert torch.equal(traced(x), x + 1)


# ---- rates that are tensors


def test_a_rate_on_another_device_is_brought_to_the_input():
    x = torch.empty(2, 3, 12, 12, device='meta')
    assert (
        drop_block_2d(x, keep_prob=torch.tensor(0.5), block_size=3).device == x.device
    )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_gamma_of_a_rate_in_half_precision_is_computed_in_full(dtype):
    plan = make_plan((1, 1, 40, 40), 7, 1.0, False, False)
    rate = torch.tensor(0.9, dtype=dtype)
    gamma = plan.device_gamma(rate, rate.device)
    assert gamma.item() == pytest.approx(plan.gamma(rate), rel=1e-6)


# ---- distribution: five standard errors, so one run in 10^6 fails by chance


@pytest.mark.parametrize('calibrated', [False, True])
@pytest.mark.parametrize('shared_mask', [False, True])
@pytest.mark.parametrize(
    ('size', 'block_size', 'keep_prob'),
    [((40, 40), 7, 0.9), ((50, 20), 7, 0.9), ((65, 65), 16, 0.2), ((7, 7), 9, 0.9)],
)
def test_keep_rate(size, block_size, keep_prob, shared_mask, calibrated):
    torch.manual_seed(0)
    planes = 1024
    shape = (planes, 1, *size) if shared_mask else (4, planes // 4, *size)
    dropped = (
        drop_block_2d(
            torch.ones(shape),
            keep_prob=keep_prob,
            block_size=block_size,
            shared_mask=shared_mask,
            calibrated=calibrated,
        )
        == 0
    )
    rates = 1 - dropped.view(planes, -1).double().mean(1)  # independent planes
    expected = expected_keep_rate(
        keep_prob=keep_prob,
        block_size=block_size,
        feature_size=size,
        calibrated=calibrated,
    )
    standard_error = rates.std().item() / planes**0.5
    assert abs(rates.mean().item() - expected) < 5 * standard_error


def test_dense_path_draws_evenly_over_positions_at_the_same_rate():
    """Chi-square of the counts per position, as for the other paths."""
    torch.manual_seed(0)
    gamma, planes = seed_rate(keep_prob=0.9, block_size=7, feature_size=(40, 40)), 4000
    seeds = dense.sample_seed_mask((planes, 1, 34, 34), gamma, torch.device('cpu'))
    counts = seeds.sum((0, 1)).double()
    variance = planes * gamma * (1 - gamma)
    positions = counts.numel()
    error = 5 * (positions * variance) ** 0.5
    assert abs(counts.sum().item() - positions * planes * gamma) < error
    chi_square = ((counts - planes * gamma) ** 2 / variance).sum().item()
    # Chi-square has mean k and standard deviation sqrt(2 k).
    assert abs(chi_square - positions) < 5 * (2 * positions) ** 0.5


# ---- bad input


@pytest.mark.parametrize(
    ('call', 'error', 'text'),
    [
        (dict(x=torch.ones(3, 8, 8)), ValueError, r'x has shape \(3, 8, 8\)'),
        (dict(x=torch.ones(1, 1, 8, 8).long()), TypeError, 'int64'),
        (dict(keep_prob=1.01), ValueError, r'keep_prob=1\.01'),
        (dict(keep_prob=float('nan')), ValueError, 'keep_prob=nan'),
        (dict(keep_prob=None), TypeError, 'keep_prob=None'),
        (dict(keep_prob=torch.ones(2)), ValueError, r'keep_prob has shape \(2,\)'),
        (dict(block_size=0), ValueError, 'block_size=0'),
        (dict(block_size=2.5), TypeError, r'block_size=2\.5'),
        (dict(gamma_scale=-1), ValueError, 'gamma_scale=-1'),
        (dict(calibrated='no'), TypeError, "calibrated='no'"),
        (dict(shared_mask=1), TypeError, 'shared_mask=1'),
        (dict(training=None), TypeError, 'training=None'),
        (dict(seeds=torch.ones(1, 1, 8, 8) > 0), ValueError, 'seeds has shape'),
        (dict(seeds=torch.ones(1, 1, 6, 6)), ValueError, 'dtype torch.float32'),
        (dict(seeds=torch.ones(1, 1, 6, 6, device='meta') > 0), ValueError, 'on meta'),
    ],
)
def test_bad_arguments_are_named(call, error, text):
    arguments = dict(x=torch.ones(1, 1, 8, 8), keep_prob=0.9, block_size=3) | call
    with pytest.raises(error, match=text):
        drop_block_2d(**arguments)
