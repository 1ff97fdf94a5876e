"""TensorFlow's RMSProp, by the formula, beside timm's, and what torch's does else."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.optim import build_optim_wrapper
from torch import nn

from dropblock_mm.models.optimizers import RMSpropTF

AUTHORS = dict(alpha=0.9, momentum=0.9, eps=1.0)


def by_the_formula(weight, gradients, rates, alpha, momentum, eps, weight_decay):
    """One weight, in Python's numbers."""
    square, velocity = 1.0, 0.0
    for gradient, lr in zip(gradients, rates, strict=True):
        g = gradient + weight_decay * weight
        square = alpha * square + (1 - alpha) * g**2
        velocity = momentum * velocity + lr * g / math.sqrt(square + eps)
        weight -= velocity
    return weight


def trained(optimizer, weight, gradients, rates):
    for gradient, lr in zip(gradients, rates, strict=True):
        optimizer.param_groups[0]['lr'] = lr
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
    return weight.item()


def a_weight(value):
    return nn.Parameter(torch.tensor([value], dtype=torch.float64))


numbers = st.floats(-10, 10)
shares = st.floats(0, 0.99)


@settings(max_examples=40, deadline=None)
@given(
    weight=numbers,
    gradients=st.lists(numbers, min_size=1, max_size=6),
    lr=st.floats(0, 5),
    decays=st.tuples(shares, shares),
    eps=st.floats(1e-10, 1),
    weight_decay=st.floats(0, 0.1),
)
def test_steps_are_those_of_the_formula(
    weight, gradients, lr, decays, eps, weight_decay
):
    alpha, momentum = decays
    options = dict(alpha=alpha, momentum=momentum, eps=eps, weight_decay=weight_decay)
    rates = [lr / (i + 1) for i in range(len(gradients))]
    parameter = a_weight(weight)
    found = trained(RMSpropTF([parameter], **options), parameter, gradients, rates)
    expected = by_the_formula(weight, gradients, rates, **options)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_timm_takes_the_same_steps():
    timm_optim = pytest.importorskip('timm.optim')
    gradients, rates = [0.5, -2.0, 3.0, 0.1], [1.0, 1.0, 0.1, 0.1]
    options = dict(AUTHORS, weight_decay=4e-5)
    ends = []
    for kind in (RMSpropTF, timm_optim.RMSpropTF):
        weight = a_weight(0.7)
        ends.append(trained(kind([weight], **options), weight, gradients, rates))
    assert ends[0] == pytest.approx(ends[1], rel=1e-12)


def test_epsilon_is_inside_the_root():
    # Where the mean square stays 1: 1 / sqrt(1 + 1) here, 1 / (sqrt(1) + 1) in torch.
    ours, torchs = a_weight(0.0), a_weight(0.0)
    optimizer = torch.optim.RMSprop([torchs], alpha=0.9, eps=1.0)
    optimizer.state[torchs] = {
        'step': torch.tensor(0.0),
        'square_avg': torch.ones_like(torchs),
    }
    here = trained(RMSpropTF([ours], alpha=0.9, eps=1.0), ours, [1.0], [1.0])
    there = trained(optimizer, torchs, [1.0], [1.0])
    assert here == pytest.approx(-1 / math.sqrt(2))
    assert there == pytest.approx(-1 / 2)


def test_the_mean_square_begins_at_one():
    ours, torchs = a_weight(0.0), a_weight(0.0)
    # With nearly no epsilon, the place of it does not matter.
    options = dict(alpha=0.9, eps=1e-12)
    here = trained(RMSpropTF([ours], **options), ours, [1.0], [1.0])
    there = trained(torch.optim.RMSprop([torchs], **options), torchs, [1.0], [1.0])
    assert here == pytest.approx(-1)
    assert there == pytest.approx(-1 / math.sqrt(0.1))


def test_earlier_steps_keep_their_rate():
    weight = a_weight(0.0)
    optimizer = RMSpropTF([weight], **AUTHORS)
    first = trained(optimizer, weight, [1.0], [1.0])
    # No gradient, and a rate of 0: the momentum of the first step goes on.
    assert trained(optimizer, weight, [0.0], [0.0]) == pytest.approx(1.9 * first)


def test_a_saved_state_goes_on():
    gradients, rates = [1.0, -0.5, 2.0], [1.0, 0.5, 0.5]
    whole, halved = a_weight(0.3), a_weight(0.3)
    expected = trained(RMSpropTF([whole], **AUTHORS), whole, gradients, rates)
    first = RMSpropTF([halved], **AUTHORS)
    trained(first, halved, gradients[:1], rates[:1])
    second = RMSpropTF([halved], **AUTHORS)
    second.load_state_dict(first.state_dict())
    assert trained(second, halved, gradients[1:], rates[1:]) == expected


def test_a_closure_computes_the_loss():
    weight = a_weight(1.0)
    optimizer = RMSpropTF([weight], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) == 1.0
    assert weight.item() < 1


def test_a_config_names_it():
    config = dict(optimizer=dict(type='dropblock_mm.RMSpropTF', lr=5.12, **AUTHORS))
    wrapper = build_optim_wrapper(nn.Linear(2, 2), config)
    assert isinstance(wrapper.optimizer, RMSpropTF)


@pytest.mark.parametrize(
    ('name', 'value'),
    [('lr', -1), ('alpha', 1.0), ('eps', -1e-3), ('momentum', 1), ('lr', float('nan'))],
)
def test_numbers_out_of_range_are_refused(name, value):
    with pytest.raises(ValueError, match=f'{name}=.*RMSpropTF'):
        RMSpropTF([a_weight(0.0)], **{name: value})
