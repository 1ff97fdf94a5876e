"""DropBlock under torch.func, forward-mode differentiation and make_fx."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

from dropblock_mm import expected_keep_rate
from dropblock_mm.ops import drop_block_with_count
from dropblock_mm.ops.rates import seed_grid
from dropblock_mm.ops.reference import reference_drop_block
from dropblock_mm.testing import assert_close

SIZES = {1: (9,), 2: (8, 9), 3: (6, 7, 5)}
dims = st.integers(1, 3)


def function_of(seeds, size, **options):
    """DropBlock with given seeds; the output alone."""

    def function(x):
        return drop_block_with_count(
            x, keep_prob=0.9, block_size=3, seeds=seeds, dims=len(size), **options
        )[0]

    return function


def some_seeds(shape, shared_mask=False, batch=()):
    channels = 1 if shared_mask else shape[1]
    return torch.rand(*batch, shape[0], channels, *seed_grid(3, shape[2:])) < 0.1


def random_drop(x, **options):
    options = {'keep_prob': 0.6, 'block_size': 3, 'dims': x.dim() - 2} | options
    return drop_block_with_count(x, **options)


# ---- values and gradients with given seeds are those of the plain call


@settings(max_examples=20, deadline=None)
@given(dims, st.booleans(), st.integers(0, 2**31))
def test_values_and_gradients_equal_the_plain_ones(dims, shared_mask, seed):
    torch.manual_seed(seed)
    size = SIZES[dims]
    shape = (2, 3, *size)
    seeds = some_seeds(shape, shared_mask)
    function = function_of(seeds, size, shared_mask=shared_mask)
    x, tangent = torch.randn(shape), torch.randn(shape)
    leaf = x.clone().requires_grad_()
    plain = function(leaf)
    plain.backward(tangent)

    out, vjp = torch.func.vjp(function, x)
    assert torch.equal(out, plain)
    assert torch.equal(vjp(tangent)[0], leaf.grad)
    out, pushed = torch.func.jvp(function, (x,), (tangent,))
    assert torch.equal(out, plain)
    # Linear, with a diagonal matrix: forward mode is backward mode.
    assert torch.equal(pushed, leaf.grad)
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(function(forward_ad.make_dual(x, tangent)))
        assert torch.equal(dual.primal, plain)
        assert torch.equal(dual.tangent, leaf.grad)
    assert_close(plain, reference_drop_block(x, seeds, 3))


@pytest.mark.parametrize('dims', SIZES)
def test_jacobian_and_hessian(dims):
    size = SIZES[dims]
    x = torch.randn(1, 1, *size, dtype=torch.float64)
    function = function_of(some_seeds(x.shape), size)
    scale = function(torch.ones_like(x)).flatten()
    units = x.numel()
    for jacobian in (torch.func.jacrev, torch.func.jacfwd):
        matrix = jacobian(function)(x).view(units, units)
        assert torch.equal(matrix, torch.diag(scale))
    hessian = torch.func.hessian(lambda x: function(x).square().sum())(x)
    torch.testing.assert_close(hessian.view(units, units), torch.diag(2 * scale**2))


@pytest.mark.parametrize('shared_mask', [False, True])
@pytest.mark.parametrize('dims', SIZES)
def test_gradients_by_sample_equal_those_one_by_one(dims, shared_mask):
    torch.manual_seed(0)
    shape = (5, 3, *SIZES[dims])
    x = torch.randn(shape)
    seeds = some_seeds((1, *shape[1:]), shared_mask, batch=(5,))

    def loss(sample, seeds):
        options = dict(shared_mask=shared_mask, seeds=seeds, dims=dims)
        out, kept = random_drop(sample[None], **options)
        return out.square().sum(), kept

    grads, kept = torch.func.vmap(torch.func.grad(loss, has_aux=True))(x, seeds)
    for k in range(5):
        leaf = x[k].clone().requires_grad_()
        value, plain_kept = loss(leaf, seeds[k])
        value.backward()
        assert torch.equal(grads[k], leaf.grad)
        assert kept[k].item() == int(plain_kept)


# ---- random seeds


@pytest.mark.parametrize('calibrated', [False, True])
@pytest.mark.parametrize('dims', SIZES)
@pytest.mark.parametrize('randomness', ['same', 'different'])
def test_vmap_draws_one_mask_or_one_for_each(dims, randomness, calibrated):
    torch.manual_seed(0)
    x = torch.randn(4, 2, 3, *SIZES[dims])
    out, kept = torch.func.vmap(
        lambda x: random_drop(x, calibrated=calibrated), randomness=randomness
    )(x)
    masks = out != 0
    assert kept.tolist() == masks.flatten(1).sum(1).tolist()
    assert bool((masks == masks[:1]).all()) == (randomness == 'same')
    scale = (x[0].numel() / kept.double()).float().view(-1, *[1] * (x.dim() - 1))
    assert torch.equal(out, x * scale * masks)


def test_vmap_asks_for_the_kind_of_randomness():
    with pytest.raises(RuntimeError, match="'same' or 'different' randomness"):
        torch.func.vmap(lambda x: random_drop(x)[0])(torch.ones(2, 1, 1, 8, 8))


@pytest.mark.parametrize('calibrated', [False, True])
def test_vmap_over_the_rate(calibrated):
    x = torch.ones(20, 50, 12, 12)
    rates = torch.tensor([0.0, 0.5, 0.9, 1.0])
    _, kept = torch.func.vmap(
        lambda rate: random_drop(x, keep_prob=rate, calibrated=calibrated),
        randomness='different',
    )(rates)
    assert kept[3] == x.numel()
    for k in (1, 2):
        expected = expected_keep_rate(
            keep_prob=rates[k].item(),
            block_size=3,
            feature_size=(12, 12),
            calibrated=calibrated,
        )
        # A plane's share varies by less than 0.2, and there are 1000.
        assert abs(kept[k].item() / x.numel() - expected) < 5 * 0.2 / 1000**0.5
    if calibrated:
        assert kept[0] == 0


@pytest.mark.parametrize('dims', SIZES)
def test_masks_of_value_and_gradient_are_the_same(dims):
    x = torch.randn(2, 8, *SIZES[dims])
    loss = lambda x: random_drop(x)[0]  # noqa: E731
    out, vjp = torch.func.vjp(loss, x)
    assert torch.equal(vjp(torch.ones_like(x))[0] == 0, out == 0)
    out, tangent = torch.func.jvp(loss, (x,), (torch.ones_like(x),))
    assert torch.equal(tangent == 0, out == 0)
    assert (out == 0).any()


def test_transformed_draws_have_the_exact_rate():
    torch.manual_seed(0)
    x = torch.ones(1024, 1, 1, 12, 12)
    _, kept = torch.func.vmap(random_drop, randomness='different')(x)
    rates = kept.double() / 144
    expected = expected_keep_rate(keep_prob=0.6, block_size=3, feature_size=(12, 12))
    error = 5 * rates.std().item() / 1024**0.5
    assert abs(rates.mean().item() - expected) < error


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_counts_in_integers(dtype):
    x = torch.ones(2, 2, 64, 40, 40, dtype=dtype)
    out, kept = torch.func.vmap(random_drop, randomness='different')(x)
    assert out.dtype == dtype
    assert (kept > 65504).all()


def test_no_path_is_said_to_be_slow(recwarn):
    torch.func.grad(lambda x: random_drop(x)[0].sum())(torch.ones(1, 1, 8, 8))
    assert not [w for w in recwarn if 'slow path' in str(w.message)]


def test_empty_batches():
    x = torch.ones(3, 0, 2, 8, 8)
    out, kept = torch.func.vmap(random_drop)(x)
    assert out.shape == x.shape
    assert kept.tolist() == [0, 0, 0]


# ---- recorded and compiled


@pytest.mark.parametrize('dims', SIZES)
@pytest.mark.parametrize('mode', ['real', 'fake', 'symbolic'])
@pytest.mark.parametrize('before_dispatch', [False, True])
def test_a_recorded_graph_draws_anew(dims, mode, before_dispatch):
    torch.manual_seed(0)
    x = torch.randn(2, 8, *SIZES[dims])
    graph = make_fx(random_drop, tracing_mode=mode, pre_dispatch=before_dispatch)(x)
    (first, kept), (second, _) = graph(x), graph(x)
    assert not torch.equal(first, second)
    assert kept.item() == (first != 0).sum().item() < x.numel()
    kept_units = x * (x.numel() / kept.item())
    torch.testing.assert_close(first, torch.where(first == 0, 0, kept_units))


@pytest.mark.parametrize('mode', ['real', 'fake', 'symbolic'])
def test_a_transformed_function_is_recorded(mode):
    torch.manual_seed(0)
    x = torch.randn(4, 2, 3, 8, 9)
    function = torch.func.vmap(
        torch.func.grad(lambda x: random_drop(x)[0].sum()), randomness='different'
    )
    graph = make_fx(function, tracing_mode=mode)(x)
    first, second = graph(x), graph(x)
    assert not torch.equal(first == 0, second == 0)
    assert 0 < (first == 0).sum() < x.numel()


@pytest.mark.parametrize('dims', SIZES)
def test_transformed_functions_compile(dims):
    torch.compiler.reset()
    torch.manual_seed(0)
    x = torch.randn(2, 8, *SIZES[dims])
    functions = {
        'grad': torch.func.grad(lambda x: random_drop(x)[0].sum()),
        'jvp': lambda x: torch.func.jvp(lambda x: random_drop(x)[0], (x,), (x,))[1],
        'vmap': lambda x: torch.func.vmap(random_drop, randomness='different')(x[None])[
            0
        ],
    }
    for name, function in functions.items():
        out = torch.compile(function, backend='aot_eager', fullgraph=True)(x)
        assert 0 < (out == 0).sum() < x.numel(), name
