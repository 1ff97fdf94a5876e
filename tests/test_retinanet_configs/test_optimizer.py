"""Optimizer, schedule and what starts from where (sources: conftest.py)."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import convert_sync_batchnorm
from mmengine.optim import LinearLR, MultiStepLR, build_optim_wrapper
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch import nn


def test_optimizer(model, scratch):
    optimizer = build_optim_wrapper(model, scratch.optim_wrapper).optimizer
    assert isinstance(optimizer, torch.optim.SGD)
    # Paper, 4.3: 0.08; TPU model: momentum=0.9, _WEIGHT_DECAY = 1e-4
    assert optimizer.defaults['lr'] == 0.08
    assert optimizer.defaults['momentum'] == 0.9
    assert not optimizer.defaults['nesterov']
    norms = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, nn.BatchNorm2d)
        for parameter in module.parameters()
    }
    decays = {}
    for group in optimizer.param_groups:
        for parameter in group['params']:
            assert id(parameter) not in decays, 'a shared convolution is listed twice'
            decays[id(parameter)] = (group['weight_decay'], id(parameter) in norms)
    # TPU model: weight_decay * l2_loss of all but 'batch_normalization'
    assert set(decays.values()) == {(1e-4, False), (0.0, True)}
    assert set(decays) == {id(parameter) for parameter in model.parameters()}


@pytest.mark.parametrize(
    ('row', 'epochs', 'drops'), [('tuned', 28, (16, 22)), ('scratch', 150, (120, 140))]
)
def test_schedule(row, epochs, drops, request):
    """Paper, 4.3; warm-up: TPU model, lr_warmup_init, lr_warmup_epoch=1.0."""
    config = request.getfixturevalue(row)
    assert config.train_cfg.type == 'EpochBasedTrainLoop'
    assert config.train_cfg.max_epochs == epochs
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.08)
    steps_per_epoch = 50
    warm_up, steps = (dict(scheduler) for scheduler in config.param_scheduler)
    assert (warm_up.pop('type'), steps.pop('type')) == ('LinearLR', 'MultiStepLR')
    assert warm_up.pop('by_epoch')
    assert warm_up.pop('convert_to_iter_based')
    linear = LinearLR.build_iter_from_epoch(
        optimizer, epoch_length=steps_per_epoch, **warm_up
    )
    multi = MultiStepLR(optimizer, **steps)
    first, by_epoch = [], []
    for epoch in range(epochs):
        by_epoch.append(optimizer.param_groups[0]['lr'])
        for _ in range(steps_per_epoch):
            if epoch == 0:
                first.append(optimizer.param_groups[0]['lr'])
            optimizer.step()
            linear.step()
        multi.step()
    assert first == pytest.approx(np.linspace(0.008, 0.08, steps_per_epoch).tolist())
    expected = [0.08] * (drops[0] - 1)
    expected += [0.008] * (drops[1] - drops[0]) + [0.0008] * (epochs - drops[1])
    assert by_epoch[1:] == pytest.approx(expected)


@pytest.mark.parametrize('batch_size', [64, 16, 256])
def test_learning_rate_scales_with_the_batch(batch_size, scratch):
    """TPU model: update_learning_rate_schedule_parameters."""
    wrapper = build_optim_wrapper(nn.Linear(1, 1), scratch.optim_wrapper)
    runner = SimpleNamespace(
        world_size=1,
        logger=MMLogger.get_current_instance(),
        _train_dataloader=dict(batch_size=batch_size),
        param_schedulers=[],
    )
    Runner.scale_lr(runner, wrapper, {**scratch.auto_scale_lr, 'enable': True})
    rate = wrapper.optimizer.param_groups[0]['lr']
    assert rate == pytest.approx(0.08 * batch_size / 64)


def test_fine_tuning_starts_from_imagenet(tuned):
    config = tuned.model
    assert config.backbone.init_cfg == dict(
        type='Pretrained', checkpoint='torchvision://resnet50'
    )
    config.backbone.init_cfg = None
    backbone = MODELS.build(config.backbone)
    backbone.train()
    frozen = {n for n, p in backbone.named_parameters() if not p.requires_grad}
    # TPU architecture: remove_variables leaves the first convolution out of training
    assert frozen == {'conv1.weight', 'bn1.weight', 'bn1.bias'}
    assert backbone.layer1[0].bn1.training


def test_sync_bn_keeps_settings_and_sharing(model):
    """What --cfg-options sync_bn=torch does."""
    synced = convert_sync_batchnorm(copy.deepcopy(model), 'torch')
    norms = [m for m in synced.modules() if isinstance(m, nn.SyncBatchNorm)]
    assert len(norms) == 98
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.003, 1e-4)}
    head = synced.bbox_head
    assert head.cls_convs[4][3].conv is head.cls_convs[0][3].conv
