"""The configs of Table 2 and their small sibling, setting by setting.

Paper: Ghiasi, Lin, Le 2018, section 4.1 and Table 2. TPU: the authors' code,
tensorflow/tpu, models/official/amoeba_net. Ours: what neither says; the README of
configs/amoebanet has the reasons.
"""

import copy
import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import (
    HOOKS,
    MODELS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    init_default_scope,
)
from torch import nn

from dropblock_mm.injection import detach, inject_targets
from dropblock_mm.reproduction.plan import Changes, changed_config
from dropblock_mm.reproduction.tables import TABLE_2

pytest.importorskip('mmpretrain')
FOLDER = Path(__file__).resolve().parents[1] / 'configs'
SMALL = 'amoebanet/amoebanet-b-3-32_dropblock-keep90-block3_clothing-96px.py'


@functools.cache
def parsed(name):
    return Config.fromfile(FOLDER / name)


def read(name):
    config = copy.deepcopy(parsed(name))
    init_default_scope(config.default_scope)
    return config


@pytest.fixture
def plain():
    return read(TABLE_2.row('none').config)


@pytest.fixture
def dropped():
    return read(TABLE_2.row('dropblock').config)


@pytest.fixture(scope='module')
def model():
    """The model of both rows, without memory for its weights."""
    init_default_scope('mmpretrain')
    with torch.device('meta'):
        return MODELS.build(parsed(TABLE_2.row('none').config).model)


def built_hooks(config):
    return [HOOKS.build(hook) for hook in config.custom_hooks]


def test_size(model):
    """TPU: 141.7 M parameters, and the auxiliary classifier's beside them."""
    auxiliary = sum(p.numel() for p in model.head.auxiliary.parameters())
    assert auxiliary == 976_816
    assert sum(p.numel() for p in model.parameters()) - auxiliary == 141_747_368


def test_head(model):
    """TPU model_builder.py; dropout: also the paper, 4.1.2."""
    assert model.head.dropout.p == 0.5
    assert model.head.auxiliary_weight == 0.4
    assert model.head.loss_module.label_smooth_val == 0.1
    assert model.head.num_classes == 1000


def test_normalisation(model):
    """TPU amoeba_net.py: a decay of 0.9, an epsilon of 1e-5."""
    norms = [part for part in model.modules() if isinstance(part, nn.BatchNorm2d)]
    assert len(norms) == 219 + 2  # the auxiliary classifier's
    assert {(norm.momentum, norm.eps) for norm in norms} == {(0.1, 1e-5)}


def test_it_fits_into_memory_by_recomputation(model):
    assert model.backbone.with_cp


def test_drop_block(model, dropped):
    """Paper 4.1.2: after all norms and on skips, last half of the cells, block 11."""
    injection, schedule, _ = built_hooks(dropped)
    sites = inject_targets(model, injection.targets)
    settings = {str(site.layer.settings()) for site in sites}
    detach(sites)
    assert len(sites) == 11 * (10 + 2)
    assert {site.module for site in sites} == {
        f'backbone.cell{i}' for i in range(12, 23)
    }
    assert settings == {"{'block_size': 11}"}
    rates = (schedule.keep_prob, schedule.start_keep_prob, schedule.schedule)
    assert rates == (0.9, 1.0, 'linear')


def test_the_rows_differ_in_drop_block_alone(plain, dropped):
    assert dropped.pop('custom_hooks')[2:] == plain.pop('custom_hooks')
    assert dropped.to_dict() == plain.to_dict()


def test_moving_averages_are_evaluated(plain):
    """TPU amoeba_net_model.py: moving_average_decay=0.9999."""
    (hook,) = built_hooks(plain)
    assert hook.evaluate_on_ema
    average = MODELS.build(dict(hook.ema_cfg, model=nn.BatchNorm2d(2)))
    assert average.momentum == pytest.approx(1 - 0.9999)
    assert average.update_buffers


def test_optimizer(plain):
    """TPU amoeba_net_model.py; weight decay on convolutions and dense layers."""
    small = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1))
    small.add_module('fc', nn.Linear(1, 1))
    optimizer = build_optim_wrapper(small, plain.optim_wrapper).optimizer
    assert type(optimizer).__name__ == 'RMSpropTF'
    names = [name for name, _ in small.named_parameters()]
    decays = [group['weight_decay'] for group in optimizer.param_groups]
    decayed = dict(zip(names, decays, strict=True))
    assert {name for name, decay in decayed.items() if decay} == {
        '0.weight',
        'fc.weight',
    }
    assert {*decays} == {0.0, 4e-5}
    group = optimizer.param_groups[0]
    settings = (group['lr'], group['alpha'], group['momentum'], group['eps'])
    assert settings == (5.12, 0.9, 0.9, 1.0)


@pytest.fixture(scope='module')
def rates():
    """The learning rate of each of 10 iterations in each of 340 epochs."""
    config = read(TABLE_2.row('none').config)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=5.12)
    defaults = dict(optimizer=optimizer, epoch_length=10)
    schedulers = [
        PARAM_SCHEDULERS.build(scheduler, default_args=defaults)
        for scheduler in config.param_scheduler
    ]
    found = []
    for iteration in range(3400):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            if not scheduler.by_epoch or iteration % 10 == 9:
                scheduler.step()
    return found


@pytest.mark.parametrize(
    ('epoch', 'share'),
    [
        (3, 0.97 ** (3 / 2.4)),
        (24, 0.97**10),
        (240, 0.97**100),
        (339, 0.97 ** (339 / 2.4)),
    ],
)
def test_the_rate_decays_by_three_per_cent_every_2_4_epochs(rates, epoch, share):
    """TPU model_builder.py: exponential_decay; hparams lr_num_epochs_per_decay."""
    assert rates[10 * epoch] == pytest.approx(5.12 * share)


def test_the_warm_up_takes_three_epochs_from_zero(rates):
    """TPU model_builder.py: warmup_lr = initial_lr * global_step / warmup_steps."""
    assert rates[0] == pytest.approx(0, abs=1e-5)
    decayed = 0.97 ** (1 / 2.4)
    # mmengine's warm-up is complete at its last iteration, not after it.
    assert rates[15] == pytest.approx(5.12 * 15 / 29 * decayed, rel=1e-3)
    assert rates[29] == pytest.approx(5.12 * decayed**2)


def test_the_floor_of_the_rate_is_never_reached(rates):
    """TPU amoeba_net_model.py: at least a ten-thousandth of the rate."""
    assert min(rates[1:]) > 1e-4 * 5.12


def test_length(plain):
    """Paper 4.1: 340 epochs, batches of 2,048, the best accuracy over training."""
    assert plain.train_cfg.max_epochs == 340
    assert plain.train_cfg.val_interval == 1
    assert plain.auto_scale_lr.base_batch_size == 2048
    assert plain.train_dataloader.batch_size * 64 == 2048
    assert plain.train_dataloader.drop_last
    assert plain.default_hooks.checkpoint.save_best == 'accuracy/top1'


def run_pipeline(transforms, image):
    results = dict(img=image, img_shape=image.shape[:2], gt_label=0)
    for config in transforms[1:-1]:
        results = TRANSFORMS.build(config)(results)
    return results['img']


def test_images_of_training(plain):
    """TPU inception_preprocessing.py: preprocess_for_train."""
    pipeline = plain.train_dataloader.dataset.pipeline
    crop = TRANSFORMS.build(pipeline[1])
    assert crop.crop_ratio_range == (0.1, 1.0)
    assert crop.aspect_ratio_range == (3 / 4, 4 / 3)
    assert crop.interpolation == 'bilinear'
    assert pipeline[2].prob == 0.5
    assert TRANSFORMS.build(pipeline[3]).ranges.tolist() == [32.0, 25.5, 25.5]
    assert run_pipeline(pipeline, np.zeros((400, 500, 3), np.uint8)).shape == (
        331,
        331,
        3,
    )


@pytest.mark.parametrize('shape', [(400, 800), (640, 480), (331, 331)])
def test_images_of_evaluation_are_the_middle_of_each_side(plain, shape):
    """TPU inception_preprocessing.py: preprocess_for_eval, central_fraction=0.875."""
    rows, columns = np.meshgrid(*(np.linspace(0, 250, n) for n in shape), indexing='ij')
    image = np.stack([rows, columns, rows], axis=2).astype(np.uint8)
    out = run_pipeline(plain.val_dataloader.dataset.pipeline, image).astype(float)
    assert out.shape == (331, 331, 3)
    low, high = 250 / 16, 250 - 250 / 16
    for channel, axis in ((0, 0), (1, 1)):
        values = out[..., channel].mean(axis=1 - axis)
        assert values[0] == pytest.approx(low, abs=2)
        assert values[-1] == pytest.approx(high, abs=2)


def test_values_are_between_minus_one_and_one(plain):
    config = dict(plain.data_preprocessor, type='ClsDataPreprocessor')
    preprocessor = MODELS.build(config)
    image = torch.tensor([0, 255], dtype=torch.uint8).repeat(3, 1, 1)
    out = preprocessor(dict(inputs=[image], data_samples=None))['inputs']
    assert out.unique().tolist() == [-1.0, 1.0]


def test_the_small_one_has_drop_block_in_the_same_half(model):
    config = read(SMALL)
    small = MODELS.build(config.model)
    injection, *_ = built_hooks(config)
    sites = inject_targets(small, injection.targets)
    sides = set()
    for site in sites:
        site.place.way.watch(lambda out: sides.add(out.shape[2]))
    small.eval()(torch.zeros(1, 3, 96, 96))
    assert sides == {6, 3}
    assert len(sites) == 7 * 12


def test_a_smoke_run_is_narrow_and_its_auxiliary_classifier_fits():
    config = changed_config(TABLE_2.row('dropblock').config, 0, Changes(smoke=True))
    init_default_scope('mmpretrain')
    small = MODELS.build(config.model).train()
    crop = config.train_dataloader.dataset.pipeline[1].scale
    assert crop == config.val_dataloader.dataset.pipeline[2].crop_size == 128
    from mmpretrain.structures import DataSample

    samples = [DataSample().set_gt_label(i) for i in (0, 1)]
    losses = small(torch.randn(2, 3, crop, crop), samples, mode='loss')
    assert {*losses} == {'loss', 'loss_aux'}
    assert sum(p.numel() for p in small.parameters()) < 3.5e6
