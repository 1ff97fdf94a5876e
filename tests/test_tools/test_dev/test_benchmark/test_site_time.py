"""The time within the sites of a step, by a clock that the test moves."""

import pytest
import torch
from torch import nn

from dropblock_mm import Dropout


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Halve(torch.autograd.Function):
    """Takes 2 seconds forward, and 3 backward."""

    clock = None

    @staticmethod
    def forward(ctx, x):
        Halve.clock.now += 2.0
        return x * 0.5

    @staticmethod
    def backward(ctx, grad):
        Halve.clock.now += 3.0
        return grad * 0.5


class SlowDropout(Dropout):
    """A site."""

    def drop(self, x, keep_prob):
        return Halve.apply(x), 1


class Rest(nn.Module):
    """Takes 90 seconds."""

    def forward(self, x):
        Halve.clock.now += 90.0
        return x + 0.0


@pytest.fixture
def timed(part, monkeypatch):
    """A clock, and a timer of a model with two sites, the second one switched off."""
    clock, (first, second) = Clock(), (SlowDropout(keep_prob=0.5) for _ in range(2))
    monkeypatch.setattr(Halve, 'clock', clock)
    model = nn.Sequential(Rest(), first, second).train()
    second.eval()
    return clock, part('site_time').SiteTimer(model, clock), model


def test_forward_and_backward_of_the_sites_are_added_up_step_by_step(timed):
    clock, timer, model = timed

    def step():
        out = model(torch.ones(1, 1, 4, requires_grad=True))
        clock.now += 5.0  # a loss, between
        out.sum().backward()

    step = timer.during(step)
    step()
    step()
    assert timer.seconds == [5.0, 5.0]
    assert timer.calls == [2, 2]


def test_shares_are_of_the_rest_of_the_last_steps(part, timed):
    sample = part('timing').Sample
    _, timer, _ = timed
    timer.seconds = [50.0, 5.0, 10.0, 20.0]
    shares = timer.shares([sample(105e3), sample(110e3), sample(420e3)])
    assert (shares.low, shares.median, shares.samples) == (5.0, 5.0, 3)
    assert shares.high == 7.5
