"""Dropout of units, channels and samples: against torch, mmcv and a slow oracle."""

import copy
import shutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmcv.cnn.bricks.drop import drop_path
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional

from dropblock_mm.ops.dropout import drop_units

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
AXES = [None, 1, 2]
sizes = st.integers(1, 5)
shapes = st.lists(sizes, min_size=2, max_size=5).map(tuple)
rates = st.floats(0.05, 1.0)


def draw_shape(x, axes):
    axes = x.dim() if axes is None else axes
    return (*x.shape[:axes], *[1] * (x.dim() - axes))


def oracle(x, kept, keep_prob):
    """Visit every unit; what is kept is divided by the rate, in fp64."""
    out = torch.zeros(x.shape, dtype=torch.float64)
    mask = kept.expand(x.shape)
    for place in mask.nonzero().tolist():
        out[tuple(place)] = x[tuple(place)].double() / keep_prob
    return out


@given(shapes, rates, st.sampled_from(AXES), st.integers(0, 2**31))
def test_equals_the_oracle(shape, keep_prob, axes, seed):
    torch.manual_seed(seed)
    values = torch.randn(shape, dtype=torch.float64)
    kept = torch.rand(draw_shape(values, axes)) < keep_prob
    for dtype in DTYPES:
        x = values.to(dtype)
        out, count = drop_units(x, keep_prob, axes=axes, kept=kept)
        # Half precision is rounded once: half of its last digit, and no more.
        tolerance = 4 * torch.finfo(torch.promote_types(dtype, torch.float32)).eps
        tolerance += torch.finfo(dtype).eps / 2 if dtype.itemsize == 2 else 0
        expected = oracle(x, kept, keep_prob)
        assert out.dtype == dtype
        tiny = torch.finfo(dtype).smallest_normal
        torch.testing.assert_close(out.double(), expected, rtol=tolerance, atol=tiny)
        assert int(count) == kept.expand(shape).sum().item()


# ---- the same mask as the others drew: bit for bit


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
@pytest.mark.parametrize('keep_prob', [0.9, 0.7, 0.3, 1 / 3])
def test_is_torchs_dropout_bit_for_bit(keep_prob, dtype):
    torch.manual_seed(0)
    x = torch.randn(4, 5, 6, 7, dtype=dtype)
    for function, axes in ((functional.dropout, None), (functional.dropout2d, 2)):
        theirs = function(x, 1.0 - keep_prob, training=True)
        kept = theirs != 0
        if axes:
            kept = kept[:, :, :1, :1]
        # torch computes 1 - p, which is not always the rate that p was made of.
        out, _ = drop_units(x, 1.0 - (1.0 - keep_prob), axes=axes, kept=kept)
        assert torch.equal(out, theirs)
        assert 0 < (out == 0).sum() < out.numel()


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
@pytest.mark.parametrize('drop_prob', [0.1, 0.3, 2 / 3])
def test_is_mmcvs_drop_path_bit_for_bit(drop_prob, dtype):
    torch.manual_seed(0)
    x = torch.randn(64, 3, 4, 5, dtype=dtype)
    theirs = drop_path(x, drop_prob, training=True)
    kept = (theirs != 0)[:, :1, :1, :1]
    out, count = drop_units(x, 1 - drop_prob, axes=1, kept=kept)
    assert torch.equal(out, theirs)
    assert int(count) == kept.sum().item() * 60


# ---- distribution: five standard errors


@pytest.mark.parametrize('axes', AXES)
@pytest.mark.parametrize(('keep_prob', 'drop_scale'), [(0.9, 1.0), (0.5, 0.5)])
def test_draws_the_rate_for_each_index_by_itself(keep_prob, drop_scale, axes):
    torch.manual_seed(0)
    x = torch.ones(2000, 8, 3, 2)
    out, count = drop_units(x, keep_prob, drop_scale, axes)
    rate = 1 - drop_scale * (1 - keep_prob)
    expected = draw_shape(x, axes)
    shares = (out != 0).double()
    assert int(count) == shares.sum().item()
    inner = [k for k, side in enumerate(expected) if side == 1 and x.shape[k] > 1]
    if inner:  # one draw for all of these
        assert torch.equal(shares, shares.amax(inner, keepdim=True).expand_as(x))
        shares = shares.amax(inner, keepdim=True)
    draws = shares.numel()
    error = 5 * (rate * (1 - rate) / draws) ** 0.5
    assert abs(shares.mean().item() - rate) < error
    if axes != 1:  # neighbours are independent: the share of both is the square
        both = shares[:, :-1] * shares[:, 1:]
        square = rate**2
        # Each draw is in two pairs, so pairs are not independent.
        error = 5 * (2 * square * (1 - square) / both.numel()) ** 0.5
        assert abs(both.mean().item() - square) < error
    assert out[out != 0].unique().tolist() == [pytest.approx(1 / rate)]


@pytest.mark.parametrize('theirs', ['dropout', 'dropout2d', 'drop_path'])
def test_keeps_as_much_as_the_others_do(theirs):
    torch.manual_seed(0)
    x, p = torch.ones(20_000, 4, 2, 2), 0.3
    axes = {'dropout': None, 'dropout2d': 2, 'drop_path': 1}[theirs]
    other = (
        drop_path(x, p, training=True)
        if theirs == 'drop_path'
        else getattr(functional, theirs)(x, p, training=True)
    )
    ours, _ = drop_units(x, 1 - p, axes=axes)
    shares = [(out != 0).double().mean(dim=(1, 2, 3)) for out in (ours, other)]
    error = sum(share.var() / len(share) for share in shares).sqrt().item()
    assert abs(shares[0].mean() - shares[1].mean()).item() < 5 * error
    # And as much together, in a sample: the variance of the share.
    variances = [share.var().item() for share in shares]
    assert variances[0] == pytest.approx(variances[1], rel=0.1)


# ---- rates


@pytest.mark.parametrize('axes', AXES)
@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('as_tensor', [False, True])
def test_keep_prob_0_is_zero_and_1_is_the_input(axes, dtype, as_tensor):
    x = torch.randn(3, 4, 5, 6).to(dtype).requires_grad_()
    for keep_prob, scale in ((0.0, 1.0), (0.5, 3.0)):
        rate = torch.tensor(keep_prob) if as_tensor else keep_prob
        out, count = drop_units(x, rate, scale, axes)
        (grad,) = torch.autograd.grad(out.sum(), x)
        assert not out.any()
        assert not grad.any()
        assert int(count) == 0
    rate = torch.tensor(1.0) if as_tensor else 1.0
    out, count = drop_units(x, rate, axes=axes)
    assert torch.equal(out, x)
    assert int(count) == x.numel()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_does_not_round_the_rate(dtype):
    """1 / 0.9 in bfloat16 is 1.109; a mean over many values would tell."""
    x = torch.linspace(1, 2, 4096).to(dtype)[None]
    kept = torch.ones(1, 1, dtype=torch.bool)
    for rate in (0.9, torch.tensor(0.9)):
        out, _ = drop_units(x, rate, kept=kept)
        ratio = (out.double() / x.double()).mean().item()
        assert ratio == pytest.approx(1 / 0.9, rel=1e-4)
        assert torch.equal(out, (x.float() / torch.tensor(0.9)).to(dtype))


def test_a_tensor_rate_equals_the_number():
    x = torch.randn(4, 5, 6)
    for scale in (1.0, 0.25):
        outputs = []
        for rate in (0.3, torch.tensor(0.3)):
            torch.manual_seed(0)
            outputs.append(drop_units(x, rate, scale)[0])
        torch.testing.assert_close(*outputs)


def test_a_dropped_infinity_is_zero():
    x = torch.full((2, 3), float('inf'))
    out, _ = drop_units(x, 0.5, kept=torch.zeros(2, 1, dtype=torch.bool))
    assert not out.any()


# ---- tensors of all sorts


@pytest.mark.parametrize('axes', AXES)
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_keeps_dtype_and_memory_format_and_draws_the_same(layout, axes):
    values = torch.randn(2, 4, 6, 7)
    for dtype in DTYPES:
        x = values.to(dtype).contiguous(memory_format=layout)
        torch.manual_seed(0)
        out, _ = drop_units(x, 0.5, axes=axes)
        torch.manual_seed(0)
        expected, _ = drop_units(values.to(dtype), 0.5, axes=axes)
        assert (out.dtype, out.stride()) == (dtype, x.stride())
        assert torch.equal(out, expected)


@pytest.mark.parametrize('axes', AXES)
def test_returns_a_fresh_tensor_and_leaves_the_input_alone(axes):
    x = torch.randn(2, 4, 6)
    before = copy.deepcopy(x)
    for keep_prob in (1.0, 0.5):
        out, _ = drop_units(x, keep_prob, axes=axes)
        out.add_(1)
        assert torch.equal(x, before)


@pytest.mark.parametrize('axes', AXES)
@pytest.mark.parametrize('shape', [(0, 3, 8), (2, 0, 8), (2, 3, 0)])
def test_empty_batches_pass_through(shape, axes):
    x = torch.zeros(shape, requires_grad=True)
    out, count = drop_units(x, 0.5, axes=axes)
    out.sum().backward()
    assert out.shape == shape
    assert int(count) == 0


@pytest.mark.parametrize('axes', AXES)
def test_runs_on_the_meta_device(axes):
    x = torch.empty(2, 3, 8, device='meta', dtype=torch.float16)
    for rate in (0.9, torch.tensor(0.9), torch.tensor(0.9, device='meta')):
        out, count = drop_units(x, rate, axes=axes)
        assert (out.shape, out.dtype) == (x.shape, x.dtype)
        assert count.device.type == 'meta'


def test_a_generator_leaves_the_global_one_alone():
    state = torch.get_rng_state()
    x = torch.ones(50, 40)
    first, second = (
        drop_units(x, 0.5, generator=torch.Generator().manual_seed(3))[0]
        for _ in range(2)
    )
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)


# ---- gradients and transformations


@pytest.mark.parametrize('axes', AXES)
def test_gradcheck(axes):
    x = torch.randn(3, 2, 4, dtype=torch.float64, requires_grad=True)
    kept = torch.rand(draw_shape(x, axes)) < 0.6

    def function(x):
        return drop_units(x, 0.6, axes=axes, kept=kept)[0]

    assert torch.autograd.gradcheck(function, x, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(function, x)


@pytest.mark.parametrize('axes', AXES)
@pytest.mark.parametrize('randomness', ['same', 'different'])
def test_vmap_draws_one_mask_or_one_for_each(axes, randomness):
    torch.manual_seed(0)
    x = torch.randn(6, 3, 4, 5)

    def function(x):
        return drop_units(x, 0.5, axes=axes)

    out, count = torch.func.vmap(function, randomness=randomness)(x)
    masks = out != 0
    assert torch.equal(count, masks.sum((1, 2, 3)))
    same = bool((masks == masks[:1]).all())
    assert same == (randomness == 'same')
    torch.testing.assert_close(out, x * 2 * masks)


@pytest.mark.parametrize('axes', AXES)
def test_gradients_by_sample_equal_those_one_by_one(axes):
    x = torch.randn(4, 3, 2, 5)
    kept = torch.rand(4, *draw_shape(x[0], axes)) < 0.5

    def loss(x, kept):
        return drop_units(x, 0.5, axes=axes, kept=kept)[0].square().sum()

    together = torch.func.vmap(torch.func.grad(loss))(x, kept)
    pairs = zip(x, kept, strict=True)
    alone = torch.stack([torch.func.grad(loss)(*pair) for pair in pairs])
    assert torch.equal(together, alone)
    torch.testing.assert_close(together, 8 * x * kept)


@pytest.mark.parametrize('mode', ['real', 'fake', 'symbolic'])
def test_a_recorded_graph_draws_anew(mode):
    x = torch.randn(8, 9, 10)
    graph = make_fx(lambda x: drop_units(x, 0.5), tracing_mode=mode)(x)
    (first, count), (second, _) = graph(x), graph(x)
    assert not torch.equal(first, second)
    assert int(count) == (first != 0).sum().item()


BACKENDS = [
    'aot_eager',
    pytest.param(
        'inductor',
        marks=pytest.mark.skipif(
            shutil.which('g++') is None, reason='Inductor needs a C++ compiler'
        ),
    ),
]


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('axes', AXES)
def test_compiles_to_one_graph_while_the_rate_changes(axes, backend):
    torch.compiler.reset()
    function = torch.compile(
        lambda x, rate: drop_units(x, rate, axes=axes), backend=backend, fullgraph=True
    )
    for rate in (0.5, 0.6, 0.7):
        x = torch.randn(16, 5, 7, requires_grad=True)
        out, count = function(x, torch.tensor(rate))
        out.sum().backward()
        assert torch.equal(out == 0, x.grad == 0)
        assert int(count) == (out != 0).sum().item()
        torch.testing.assert_close(out, x * x.grad)
        assert 0 < int(count) < x.numel()
