"""Learning rates that follow the size of a batch, asked for here or in the config."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.optim.scheduler import CosineAnnealingLR, OneCycleLR

from dropblock_mm.runs import settle_auto_scale_lr


def settle(cfg):
    """As with --auto-scale-lr."""
    settle_auto_scale_lr(cfg, asked=True)


def test_auto_scale_lr():
    cfg = Config(dict(auto_scale_lr=dict(enable=False, base_batch_size=16)))
    settle(cfg)
    assert cfg.auto_scale_lr.enable is True


@pytest.mark.parametrize('config', [dict(), dict(auto_scale_lr=dict(enable=True))])
def test_auto_scale_lr_names_the_missing_key(config):
    with pytest.raises(ValueError, match=r'auto_scale_lr\.base_batch_size'):
        settle(Config(config))


def test_auto_scale_lr_is_refused_where_a_schedule_sets_the_rate():
    cycle = dict(type='OneCycleLR', eta_max=0.1, total_steps=9)
    steps = dict(type='MultiStepLR', milestones=[8])
    scaling = dict(base_batch_size=16)
    cfg = Config(dict(auto_scale_lr=scaling, param_scheduler=[steps, cycle]))
    with pytest.raises(ValueError, match=r'param_scheduler\.1\.eta_max=0\.1'):
        settle(cfg)
    settle(Config(dict(auto_scale_lr=scaling, param_scheduler=steps)))
    rates = []
    for lr in (0.01, 0.5):  # mmengine 0.10.7: as if the optimizer had none
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr)
        OneCycleLR(optimizer, **{k: v for k, v in cycle.items() if k != 'type'})
        rates.append(optimizer.param_groups[0]['lr'])
    assert rates[0] == rates[1] == pytest.approx(0.1 / 25)


@pytest.mark.parametrize(('steps', 'said'), [(1, ''), (4, 'Divide that by 4')])
def test_auto_scale_lr_says_that_it_counts_no_accumulation(capsys, steps, said):
    """Runner.scale_lr of mmengine 0.10.7 takes batch_size and processes alone."""
    scaling = dict(base_batch_size=16)
    wrapper = dict(accumulative_counts=steps)
    settle(Config(dict(auto_scale_lr=scaling, optim_wrapper=wrapper)))
    found = capsys.readouterr().err
    assert said in found
    assert bool(found) == bool(said)


@pytest.mark.parametrize('enable', [False, True])
def test_a_config_that_scales_by_itself_is_checked_alike(enable):
    """MMEngine acts on ``enable`` in the config, without any option."""
    cycle = dict(type='OneCycleLR', eta_max=0.1)
    cfg = Config(dict(auto_scale_lr=dict(enable=enable), param_scheduler=cycle))
    if not enable:
        settle_auto_scale_lr(cfg, asked=False)
        return
    with pytest.raises(ValueError, match=r'^auto_scale_lr\.enable=True needs'):
        settle_auto_scale_lr(cfg, asked=False)
    cfg.auto_scale_lr.base_batch_size = 16
    with pytest.raises(
        ValueError, match=r'^auto_scale_lr\.enable=True changes nothing'
    ):
        settle_auto_scale_lr(cfg, asked=False)


@pytest.mark.parametrize('base', ['many', -16, True, [16]])
def test_a_base_that_is_no_number_of_images(base):
    with pytest.raises(ValueError, match=re.escape(f'base_batch_size={base!r} is no')):
        settle(Config(dict(auto_scale_lr=dict(base_batch_size=base))))


@pytest.mark.parametrize('asked', [False, True])
def test_what_is_no_dict(asked):
    """The command line makes text of auto_scale_lr=dict(...)."""
    cfg = Config(dict(auto_scale_lr='dict(enable=True)'))
    with pytest.raises(ValueError, match=r"auto_scale_lr='dict\(.*' is no dict"):
        settle_auto_scale_lr(cfg, asked=asked)


def test_the_text_of_a_number_is_one_to_mmengine():
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size='16')))
    settle(cfg)
    assert cfg.auto_scale_lr.enable


@pytest.mark.parametrize(
    ('images', 'ranks', 'said'),
    [(2, 1, r'param_scheduler\.0\.eta_min=1\.56e-06'), (2, 16, ''), (32, 1, '')],
)
def test_a_least_rate_above_the_scaled_one(images, ranks, said, capsys, monkeypatch):
    """RTMDet of mmdet, in batches of 2: the rate rises to six times the first one."""
    monkeypatch.setenv('WORLD_SIZE', f'{ranks}')
    cosine = dict(
        type='CosineAnnealingLR', eta_min=0.0002, T_max=10, convert_to_iter_based=True
    )
    cfg = Config(
        dict(
            launcher='pytorch' if ranks > 1 else 'none',
            auto_scale_lr=dict(base_batch_size=256),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.004)),
            train_dataloader=dict(batch_size=images),
            param_scheduler=[cosine],
        )
    )
    settle(cfg)
    found = capsys.readouterr().err
    assert bool(found) == bool(said)
    assert re.search(said, ' '.join(found.split()))


def test_the_rate_does_rise():
    """What the warning says, by mmengine's schedule itself."""
    scaled = 0.004 * 2 / 256
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=scaled)
    schedule = CosineAnnealingLR(optimizer, T_max=10, eta_min=0.0002)
    rates = [optimizer.param_groups[0]['lr']]
    for _ in range(10):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]['lr'])
    assert rates == sorted(rates)
    assert rates[0] == pytest.approx(scaled)
    assert rates[-1] == pytest.approx(0.0002)
