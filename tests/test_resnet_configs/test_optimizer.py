"""Optimizer, schedule, and what is kept of a run (sources: conftest.py)."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.optim import LinearLR, MultiStepLR, build_optim_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

STEPS = 20  # in an epoch, for the tests


def test_optimizer(model, plain):
    optimizer = build_optim_wrapper(model, plain.optim_wrapper).optimizer
    assert isinstance(optimizer, torch.optim.SGD)
    # TPU main: base_learning_rate 0.1 * batch / 256, momentum 0.9, use_nesterov=True
    assert optimizer.defaults['lr'] == pytest.approx(0.1 * 1024 / 256)
    assert optimizer.defaults['momentum'] == 0.9
    assert optimizer.defaults['nesterov']
    assert not optimizer.defaults['dampening']
    norms = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.BatchNorm2d)
        for parameter in module.parameters()
    }
    decays = {
        id(parameter): (group['weight_decay'], id(parameter) in norms)
        for group in optimizer.param_groups
        for parameter in group['params']
    }
    # TPU main: weight_decay * l2_loss of all but 'batch_normalization'
    assert set(decays.values()) == {(1e-4, False), (0.0, True)}
    assert set(decays) == {id(parameter) for parameter in model.parameters()}
    assert decays[id(model.head.fc.bias)] == (1e-4, False)


def test_nothing_is_averaged_or_clipped(plain):
    """TPU main: no moving average of the weights, no clipping."""
    assert 'clip_grad' not in plain.optim_wrapper
    assert not plain.get('custom_hooks')


@pytest.mark.parametrize(
    ('row', 'epochs', 'drops'),
    [
        ('none', 300, (100, 200, 265)),  # Paper, 4.1
        ('dropblock', 300, (100, 200, 265)),
        # Paper, 4.1.1: 330 epochs; TPU main: floor(k / 90 * epochs) of 30, 60, 80
        ('dropblock-label-smooth', 330, (110, 220, 293)),
    ],
)
def test_schedule(read, row, epochs, drops):
    """Warm-up: TPU main of 2018, from 0 over 5 epochs."""
    config = read(row)
    assert config.train_cfg.type == 'EpochBasedTrainLoop'
    assert config.train_cfg.max_epochs == epochs
    rates = learning_rates(config.param_scheduler, epochs)
    warm_up = np.linspace(0, 0.4, 5 * STEPS)
    assert rates[: 5 * STEPS] == pytest.approx(warm_up.tolist(), abs=1e-6)
    bounds = [5, *drops, epochs]
    for power, (begin, end) in enumerate(itertools.pairwise(bounds)):
        expected = [0.4 * 0.1**power] * (end - begin) * STEPS
        assert rates[begin * STEPS : end * STEPS] == pytest.approx(expected)


def learning_rates(schedulers, epochs):
    """The rate of every iteration."""
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.4)
    warm_up, steps = (dict(scheduler) for scheduler in schedulers)
    assert (warm_up.pop('type'), steps.pop('type')) == ('LinearLR', 'MultiStepLR')
    assert warm_up.pop('by_epoch')
    assert warm_up.pop('convert_to_iter_based')
    linear = LinearLR.build_iter_from_epoch(optimizer, epoch_length=STEPS, **warm_up)
    multi = MultiStepLR(optimizer, **steps)
    rates = []
    for _ in range(epochs):
        for _ in range(STEPS):
            rates.append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            linear.step()
        multi.step()
    return rates


@pytest.mark.parametrize('batch_size', [1024, 256, 4096])
def test_learning_rate_scales_with_the_batch(batch_size, plain):
    """TPU main: base_learning_rate * batch / 256."""
    wrapper = build_optim_wrapper(nn.Linear(1, 1), plain.optim_wrapper)
    runner = SimpleNamespace(
        world_size=1,
        logger=MMLogger.get_current_instance(),
        _train_dataloader=dict(batch_size=batch_size),
        param_schedulers=[],
    )
    Runner.scale_lr(runner, wrapper, {**plain.auto_scale_lr, 'enable': True})
    assert wrapper.param_groups[0]['lr'] == pytest.approx(0.1 * batch_size / 256)


def test_the_best_of_all_epochs_is_kept(plain):
    """Paper, 4.1: the highest validation accuracy; TPU: every 1,251 steps."""
    assert plain.train_cfg.val_interval == 1
    hook = HOOKS.build(dict(plain.default_hooks.checkpoint))
    assert hook.save_best == ['accuracy/top1']
    assert hook.rules == ['greater']
    assert hook.interval == 1


def test_every_process_draws_masks_of_its_own(plain):
    assert plain.randomness == dict(seed=0, diff_rank_seed=True)
