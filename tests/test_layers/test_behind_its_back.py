"""Buffers that others cast, or leave without memory, without a word to the layer."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.nn.utils import parametrize

RATE = 0.7
DTYPES = [torch.float16, torch.bfloat16, torch.float64]


def around(build, rate=RATE):
    """The layer between two with weights that leave the sizes as they are."""
    return nn.Sequential(nn.PReLU(), build(rate), nn.PReLU())


def assert_is_exact(layer, x, rate=RATE):
    out = layer(x)
    assert type(out) is torch.Tensor
    assert layer.keep_prob.dtype == torch.float32
    assert layer.keep_prob.item() == torch.tensor(rate, dtype=torch.float32).item()
    assert layer.seen_units.item() == x.numel()
    assert layer.kept_units.item() == (out != 0).sum().item() < x.numel()


# ---- cast: every loop over a model's buffers is one of these


def by_data(layer, dtype):
    layer.keep_prob.data = layer.keep_prob.data.to(dtype)


def by_dict(layer, dtype):
    layer._buffers['keep_prob'] = layer._buffers['keep_prob'].to(dtype)


def by_attribute(layer, dtype):
    layer.keep_prob = layer.keep_prob.to(dtype)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('cast', [by_data, by_dict, by_attribute])
def test_a_cast_does_not_round_the_rate(cast, dtype, build, x):
    layer = build(0.9)
    layer.set_keep_prob(RATE)
    cast(layer, dtype)
    assert_is_exact(layer, x)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('cast', [by_data, by_dict])
def test_a_cast_does_not_round_the_rate_in_a_graph(cast, dtype, build, x):
    """What is passed to drop() tells it: a rounded rate drops nearly as much."""
    layer, given = build(0.9), []
    drop = layer.drop
    layer.drop = lambda x, rate: (given.append(rate.clone()), drop(x, rate))[1]

    def run(x):
        given.clear()
        return layer(x), given[0]

    torch.compiler.reset()
    compiled = torch.compile(run, backend='eager', fullgraph=True)
    for rate in (RATE, 0.3):
        layer.set_keep_prob(rate)
        exact = layer.keep_prob.clone()
        assert torch.equal(compiled(x)[1], exact)
        cast(layer, dtype)
        assert torch.equal(compiled(x)[1], exact)
    layer.keep_prob.fill_(0.5)  # by another than us, who may know better
    assert compiled(x)[1] == 0.5
    layer.keep_prob.fill_(1.0)
    assert torch.equal(compiled(x)[0], x)


def test_a_cast_rate_can_be_set_exactly(build, x):
    layer = build(0.9)
    by_data(layer, torch.bfloat16)
    layer.set_keep_prob(RATE)
    assert_is_exact(layer, x)


def test_a_cast_of_another_rate_is_that_rate(build, x):
    """What others put there in half precision is no rounding of ours."""
    layer = build(0.9)
    layer.keep_prob = torch.tensor(0.25, dtype=torch.bfloat16)
    assert_is_exact(layer, x, rate=0.25)


@pytest.mark.parametrize('dtype', DTYPES)
def test_a_rate_that_is_passed_in_another_precision_is_used(dtype, build, x):
    layer = build(0.9)
    rate = torch.ones((), dtype=dtype)
    out = functional_call(layer, {'keep_prob': rate}, (x,))
    assert torch.equal(out, x)
    assert layer.keep_prob.item() == pytest.approx(0.9)


# ---- left without memory, while the weights have theirs


def test_a_model_of_fake_tensors_that_is_given_weights(build, x):
    with FakeTensorMode():
        model = around(build, 0.9)
        model[1].set_keep_prob(RATE)
    model.load_state_dict(around(build).state_dict(), assign=True)
    assert type(model(x)) is torch.Tensor
    model[1].reset_count()
    assert_is_exact(model[1], x)


def test_under_the_mode_fake_tensors_stay_what_they_are(build, x):
    with FakeTensorMode() as mode:
        layer = build(RATE)
        fake = mode.from_tensor(x)
        assert layer(fake).shape == x.shape
        assert type(layer.keep_prob) is not torch.Tensor


@pytest.mark.parametrize(
    'move',
    [
        lambda model: model.to('cpu'),
        lambda model: model.cpu(),
        lambda model: model.to('cpu', torch.float64).float(),
    ],
)
def test_a_model_of_meta_that_is_given_weights_can_be_moved(move, build, x):
    with torch.device('meta'):
        model = around(build)
    model.load_state_dict(around(build).state_dict(), assign=True)
    assert move(model) is model
    assert not any(tensor.is_meta for tensor in model.buffers())
    assert_is_exact(model[1], x)


def test_weights_that_are_on_meta_are_refused_as_ever(build):
    with torch.device('meta'):
        model = around(build)
    with pytest.raises(NotImplementedError, match='to_empty'):
        model.to('cpu')


def test_a_buffer_of_ones_own_that_is_on_meta_is_refused_as_ever(build):
    """Nothing knows what it should hold."""
    layer = build(RATE)
    layer.register_buffer('own', torch.zeros(3, device='meta'))
    with pytest.raises(NotImplementedError, match='to_empty'):
        layer.to('cpu')


def test_a_rate_that_is_computed_is_used(build, x):
    class Full(nn.Module):
        def forward(self, rate):
            return torch.ones_like(rate)

    layer = build(RATE)
    parametrize.register_parametrization(layer, 'keep_prob', Full())
    assert torch.equal(layer(x), x)
