"""The layers inside torch.func's transformations, forward-mode AD and make_fx."""

import copy

import pytest
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import functional_call, grad, jvp, stack_module_state, vjp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

TIMES = 3


def counts(layer):
    return layer.kept_units.item(), layer.seen_units.item()


def nonzeros(tensor):
    return (tensor != 0).sum().item(), tensor.numel()


@pytest.fixture
def layer(build):
    return build(0.6)


@pytest.fixture
def samples(x):
    """The same batch several times."""
    return x.expand(TIMES, *x.shape)


def test_grad(layer, x):
    out = grad(lambda x: layer(x).sum())(x)
    assert counts(layer) == nonzeros(out)
    assert 0 < layer.kept_units < x.numel()


def test_grad_of_what_is_around(layer, x):
    """The input of the layer is no leaf of the transformation, and then it is one."""
    out = grad(lambda weight: (layer(x) * weight).sum() + layer(x * weight).sum())(
        torch.tensor(2.0)
    )
    assert out.isfinite()
    assert layer.seen_units.item() == 2 * x.numel()


def test_jvp_and_vjp_follow_the_mask(layer, x):
    out, tangent = jvp(layer, (x,), (torch.ones_like(x),))
    assert torch.equal(out == 0, tangent == 0)
    torch.testing.assert_close(out, x * tangent)
    assert counts(layer) == nonzeros(out)
    out, pull = vjp(layer, x)
    (cotangent,) = pull(torch.ones_like(x))
    torch.testing.assert_close(out, x * cotangent)


def test_forward_mode(layer, x):
    with forward_ad.dual_level():
        out = layer(forward_ad.make_dual(x, torch.ones_like(x)))
        value, tangent = forward_ad.unpack_dual(out)
    torch.testing.assert_close(value, x * tangent)
    assert counts(layer) == nonzeros(tangent)


def seeded(layer):
    def function(x):
        torch.manual_seed(0)
        return layer(x)

    return function


def by_dual_tensor(function, x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(function(forward_ad.make_dual(x, x))).primal


def beside_a_dual_tensor(function, x):
    with forward_ad.dual_level():
        return function(x)


@pytest.mark.parametrize(
    'follow',
    [
        by_dual_tensor,
        beside_a_dual_tensor,
        lambda function, x: vjp(function, x)[0],
        lambda function, x: jvp(function, (x,), (x,))[0],
        lambda function, x: jvp(lambda x: vjp(function, x)[0], (x,), (x,))[0],
    ],
)
def test_a_seed_gives_the_same_mask_in_each_mode(follow, layer, x):
    plain = seeded(layer)(x)
    after = torch.rand(1)
    assert torch.equal(follow(seeded(layer), x), plain)
    assert torch.equal(torch.rand(1), after)
    kept, seen = nonzeros(plain)
    assert counts(layer) == (2 * kept, 2 * seen)
    assert kept < seen


@pytest.mark.parametrize('rate', [0.0, 0.6, 1.0])
def test_derivatives_are_those_of_differences(rate, build, x):
    leaf, drop = x[:2].double().requires_grad_(), seeded(build(rate))
    assert gradcheck(drop, (leaf,), check_forward_ad=True, fast_mode=True)

    def cube(x):
        return drop(x) ** 3

    assert gradgradcheck(cube, (leaf,), check_fwd_over_rev=True, fast_mode=True)


def test_a_tangent_of_a_gradient_follows_the_mask(layer, x):
    """As where weights behind the layer have tangents, those before it do not."""
    leaf = x.clone().requires_grad_()
    out = layer(leaf)
    with forward_ad.dual_level():
        (grad,) = pulled(out, leaf, forward_ad.make_dual(x, 2 * x))
        value, tangent = forward_ad.unpack_dual(grad)
    assert torch.equal(value == 0, out == 0)
    assert torch.equal(tangent, 2 * value)


@pytest.mark.parametrize('seed', [0, 1])
def test_a_batch_of_gradients_follows_the_mask(seed, layer, x):
    """As in ``torch.autograd.functional.jacobian(vectorize=True)``."""
    leaf = x.clone().requires_grad_()
    torch.manual_seed(seed)
    out = layer(leaf) ** 2
    cotangents = torch.randn(TIMES, *x.shape)
    expected = torch.stack([pulled(out, leaf, each)[0] for each in cotangents])
    together = {'is_grads_batched': True, 'create_graph': True}
    (batch,) = pulled(out, leaf, cotangents, **together)
    assert torch.equal(batch, expected)
    assert torch.equal(vmap(lambda each: pulled(out, leaf, each)[0])(cotangents), batch)
    (again,) = pulled(batch.sum(), leaf)
    assert torch.equal(again == 0, out == 0)


def pulled(out, leaf, cotangent=None, **options):
    return torch.autograd.grad(out, leaf, cotangent, retain_graph=True, **options)


def test_vmap_draws_for_each_sample(layer, samples):
    out = vmap(layer, randomness='different')(samples)
    assert counts(layer) == nonzeros(out)
    assert not torch.equal(out[0] == 0, out[1] == 0)


def test_vmap_draws_once_for_all(layer, samples):
    out = vmap(layer, randomness='same')(samples)
    assert counts(layer) == nonzeros(out)
    assert torch.equal(out[0], out[1])
    assert 0 < layer.kept_units < layer.seen_units


@pytest.mark.parametrize('randomness', ['same', 'different'])
def test_gradients_of_samples(randomness, layer, samples):
    per_sample = vmap(grad(lambda x: layer(x).sum()), randomness=randomness)
    assert counts(layer) == (0, 0)
    out = per_sample(samples)
    assert counts(layer) == nonzeros(out)


def test_vmap_within_vmap(layer, samples):
    inner = vmap(layer, randomness='different')
    out = vmap(inner, randomness='different')(samples.expand(2, *samples.shape))
    assert counts(layer) == nonzeros(out)


def test_vmap_over_a_single_sample(layer, samples):
    one = vmap(layer, randomness='different')
    out = one(samples[:1])
    assert counts(layer) == nonzeros(out)
    layer.reset_count()
    out = vmap(one, randomness='same')(samples.unsqueeze(1))
    assert counts(layer) == nonzeros(out)


def test_vmap_says_itself_that_it_wants_to_know(layer, samples):
    with pytest.raises(RuntimeError, match="'same' or 'different'"):
        vmap(layer)(samples)


def test_the_rate_holds_inside(layer, samples):
    layer.set_keep_prob(1.0)
    assert torch.equal(vmap(layer, randomness='different')(samples), samples)
    assert torch.equal(grad(lambda x: layer(x).sum())(samples[0]), samples[0] ** 0)
    layer.set_keep_prob(0.9)
    layer.reset_count()
    vmap(layer, randomness='different')(samples)
    assert 0.75 < layer.kept_units / layer.seen_units < 1


def test_buffers_that_are_passed_are_used_and_count(layer, x):
    passed = {name: buffer.clone() for name, buffer in layer.named_buffers()}
    passed['keep_prob'].fill_(1.0)
    assert torch.equal(functional_call(layer, passed, (x,)), x)
    assert passed['kept_units'].item() == x.numel()
    assert counts(layer) == (0, 0)
    assert layer.keep_prob.item() == pytest.approx(0.6)


def test_an_ensemble_has_a_rate_and_a_count_for_each(build, x):
    layers = [build(rate) for rate in (1.0, 0.8, 0.2)]
    _, buffers = stack_module_state(layers)
    skeleton = copy.deepcopy(layers[0]).to('meta')

    def call(buffers):
        return functional_call(skeleton, buffers, (x,))

    out = vmap(call, randomness='different')(buffers)
    assert torch.equal(out[0], x)
    kept = [nonzeros(member)[0] for member in out]
    assert kept[0] > kept[1] > kept[2]
    assert buffers['kept_units'].tolist() == kept
    assert buffers['seen_units'].tolist() == [x.numel()] * 3
    assert skeleton.keep_prob.is_meta


@pytest.mark.parametrize('mode', ['real', 'fake', 'symbolic'])
def test_make_fx_records_the_draw_and_the_count(mode, layer, x):
    traced = make_fx(layer, tracing_mode=mode, _allow_non_fake_inputs=True)(x)
    layer.reset_count()
    first, second = traced(x), traced(x)
    assert not torch.equal(first, second)
    kept, seen = (a + b for a, b in zip(nonzeros(first), nonzeros(second), strict=True))
    assert counts(layer) == (kept, seen)
    layer.set_keep_prob(1.0)
    assert torch.equal(traced(x), x)


def test_make_fx_of_a_gradient(layer, x):
    traced = make_fx(grad(lambda x: layer(x).sum()))(x)
    layer.reset_count()
    assert counts(layer) == (0, 0)
    out = traced(x)
    assert 0 < nonzeros(out)[0] < x.numel()


@pytest.mark.parametrize('transform', [grad, lambda f: vmap(f, randomness='different')])
def test_compiled_transformations_drop_without_a_count(transform, layer, samples):
    torch.compiler.reset()
    function = transform(lambda x: layer(x.flatten(0, -samples[0].dim())).sum())
    torch.compile(lambda x: function(x), backend='eager')(samples)
    assert counts(layer) == (0, 0)
    layer(samples[0])
    assert layer.seen_units.item() == samples[0].numel()
