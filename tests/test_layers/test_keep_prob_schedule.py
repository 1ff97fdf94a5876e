import pytest
import torch
from torch import nn

from dropblock_mm import DropBlock2d, DropPath, KeepProbSchedule


@pytest.fixture
def model():
    return nn.Sequential(
        DropBlock2d(keep_prob=None, block_size=3),
        nn.Sequential(DropPath(keep_prob=0.5), nn.ReLU()),
    )


def rates(model):
    layers = [m for m in model.modules() if hasattr(m, 'keep_prob')]
    return [layer.keep_prob.item() for layer in layers]


def test_goes_linearly_to_the_target_and_to_each_layers_own(model):
    schedule = KeepProbSchedule(model, keep_prob=0.9, total_iters=101)
    for iteration in range(101):
        schedule.set_at(iteration)
        share = iteration / 100
        assert rates(model) == pytest.approx([1 - 0.1 * share, 1 - 0.5 * share])
    assert schedule.keep_prob_at(100) == 0.9


def test_has_no_state(model):
    schedule = KeepProbSchedule(model, keep_prob=0.9, total_iters=101)
    schedule.set_at(90)
    schedule.set_at(50)
    assert rates(model) == pytest.approx([0.95, 0.75])
    schedule.set_at(1000)  # beyond the end it stays there
    assert rates(model) == pytest.approx([0.9, 0.5])


@pytest.mark.parametrize('unit', ['iter', 'fraction'])
def test_begin_end_start_and_steps(unit, model):
    scale = 1 if unit == 'iter' else 100
    schedule = KeepProbSchedule(
        model,
        keep_prob=0.5,
        total_iters=100,
        schedule='step',
        start_keep_prob=0.9,
        begin=20 / scale,
        end=70 / scale,
        unit=unit,
        num_steps=1,
    )
    values = [schedule.keep_prob_at(iteration) for iteration in range(100)]
    assert values == pytest.approx([0.9] * 45 + [0.5] * 55)


def test_training_drops_more_and_more(model):
    torch.manual_seed(0)
    layer = model[0]
    schedule = KeepProbSchedule(model[0], keep_prob=0.5, total_iters=30)
    kept = []
    for iteration in range(30):
        schedule.set_at(iteration)
        layer.reset_count()
        layer(torch.ones(8, 8, 10, 10))
        kept.append((layer.kept_units / layer.seen_units).item())
    assert kept[0] == 1.0
    assert kept[0] > sum(kept[5:15]) / 10 > sum(kept[20:]) / 10 > 0.5


@pytest.mark.parametrize(
    ('arguments', 'error', 'text'),
    [
        (dict(keep_prob=1.5), ValueError, r'keep_prob=1\.5 is outside'),
        (dict(keep_prob=None), TypeError, 'keep_prob=None is not a number'),
        (dict(total_iters=0), ValueError, 'total_iters=0 is below 1'),
        (dict(total_iters=1.5), TypeError, r'total_iters=1\.5'),
        (dict(schedule='exp'), ValueError, "schedule='exp' is not one of 'linear'"),
        (dict(start_keep_prob=-1), ValueError, 'start_keep_prob=-1'),
        (dict(unit='epoch', end=3), ValueError, "unit='epoch' is not known here"),
        (dict(unit='iter', end=200), ValueError, 'end=200 .* lies beyond training'),
        (dict(begin=0.5, end=0.5), ValueError, r'end=0\.5 is not after'),
        (dict(num_steps=0), ValueError, 'num_steps=0'),
        (dict(drop_prob=0.1), TypeError, r'keep_prob = 1 - drop_prob: give .*0\.9'),
        (dict(totl_iters=3), TypeError, "Did you mean 'total_iters'"),
    ],
)
def test_bad_arguments_are_named(arguments, error, text, model):
    with pytest.raises(error, match=text):
        KeepProbSchedule(model, **{'keep_prob': 0.9, 'total_iters': 100, **arguments})


@pytest.mark.parametrize(
    ('model', 'error', 'text'),
    [
        (nn.Conv2d(3, 4, 1), ValueError, 'no layer such as DropBlock2d.*Inject'),
        ([DropPath(keep_prob=0.5)], TypeError, 'is not a module'),
    ],
)
def test_there_must_be_something_to_schedule(model, error, text):
    with pytest.raises(error, match=text):
        KeepProbSchedule(model, keep_prob=0.9, total_iters=100)
