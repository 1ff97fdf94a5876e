"""Other ways to compute the same training: the losses are those of the plain run."""

import shutil

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import MODELS, DefaultScope

from dropblock_mm import DropBlock2d
from dropblock_mm.runs.amp import CpuAmpOptimWrapper
from dropblock_mm.testing.toy import ToyClassifier, toy_resnet, toy_runner
from dropblock_mm.testing.toy_detector import ToyBoxes, toy_detector_config

on_cpu = pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
SGD = dict(type='SGD', lr=0.01)
# Both draw the same seeds in the same order, so that the masks are the same ones.
SAME_MASKS = dict(rtol=1e-4, atol=1e-6)
# A mask does not depend on the dtype, but a layer that another precision visits in
# another order draws another one: that, and 8 to 11 bits of mantissa, may move the
# losses by 0.7 % in 8 iterations, and the rate of 18 small maps by 0.03.
OTHER_MASKS = dict(rtol=1.5e-2, atol=0, rates=0.06)


def drop_block(module='backbone.layer[34]'):
    return [
        dict(
            type='dropblock_mm.DropBlockInjectionHook',
            targets=[dict(module=module)],
            block_size=3,
        ),
        dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.8),
    ]


def detector(channels_last=False, **backbone):
    """Build a small RetinaNet, always with the same weights."""
    torch.manual_seed(0)
    config = toy_detector_config('RetinaNet', **backbone)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(config)
        model.init_weights()
        if channels_last:
            other = MODELS.build(dict(type='dropblock_mm.ChannelsLast', model=config))
            other.init_weights()
            other.load_state_dict(model.state_dict())
            return other
    return model


def train(folder, hooks=(), *, backbone=None, channels_last=False, **options):
    """Train a small RetinaNet for 8 iterations.

    Returns its losses and keep rates, and whether its first weights changed.
    """
    model = detector(channels_last, **(backbone or {}))
    runner = toy_runner(
        folder,
        [*hooks, *drop_block()],
        model=model,
        dataset=ToyBoxes(),
        checkpoint_interval=-1,
        randomness=dict(seed=0),
        **options,
    )
    first = model.backbone.conv1.weight
    before = first.detach().clone()
    runner.train()
    read = runner.message_hub.get_scalar
    logged = {
        name: torch.tensor(read(f'train/{name}').data[0])
        for name in ('loss', 'effective_keep_rate', 'keep_prob')
    }
    return {**logged, 'learnt': not torch.equal(first, before)}


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    """The run that the others are compared with."""
    logged = train(tmp_path_factory.mktemp('plain'))
    assert torch.isfinite(logged['loss']).all()
    assert logged['effective_keep_rate'][-1] < 0.9
    return logged


def assert_same(logged, plain, rates=1e-6, **tolerance):
    torch.testing.assert_close(logged['loss'], plain['loss'], **tolerance)
    assert logged['learnt'] == plain['learnt']
    assert torch.equal(logged['keep_prob'], plain['keep_prob'])
    torch.testing.assert_close(
        logged['effective_keep_rate'], plain['effective_keep_rate'], rtol=0, atol=rates
    )


def test_mmdets_activation_checkpointing(tmp_path, plain):
    """The second forward pass repeats the masks of the first."""
    with pytest.warns(UserWarning, match='use_reentrant'):
        logged = train(tmp_path, backbone=dict(with_cp=True))
    assert_same(logged, plain, **SAME_MASKS)


def test_activation_checkpointing(tmp_path, plain):
    modules = ['backbone.layer3', 'backbone.layer4.0', 'neck', 'bbox_head']
    hook = dict(type='dropblock_mm.ActivationCheckpointingHook', modules=modules)
    assert_same(train(tmp_path, [hook]), plain, **SAME_MASKS)


def test_activation_checkpointing_behind_a_frozen_stage(tmp_path):
    """Its input asks for no gradient; its weights do."""
    frozen = dict(frozen_stages=1)
    expected = train(tmp_path / 'plain', backbone=frozen)
    modules = ['backbone.layer2']
    hook = dict(type='dropblock_mm.ActivationCheckpointingHook', modules=modules)
    logged = train(tmp_path / 'recomputed', [hook], backbone=frozen)
    assert_same(logged, expected, **SAME_MASKS)


def test_mmengines_own_switch_loses_gradients(tmp_path, plain):
    """What the hook is for: should MMEngine change this, it can go."""
    with pytest.warns(UserWarning, match='Gradients will be None'):
        logged = train(tmp_path, cfg=dict(activation_checkpointing=['neck']))
    assert plain['learnt']
    assert not logged['learnt']


def test_activation_checkpointing_of_nothing(tmp_path):
    hook = dict(type='dropblock_mm.ActivationCheckpointingHook', modules='backbone.l1')
    with pytest.raises(
        ValueError, match=r"activation_checkpointing names 'backbone\.l1'"
    ):
        train(tmp_path, [hook])


def test_channels_last(tmp_path, plain):
    assert_same(train(tmp_path, channels_last=True), plain, **SAME_MASKS)


class SeenMaps(Hook):
    """Notes what DropBlock2d gets and returns."""

    def __init__(self):
        self.maps = []

    def before_train(self, runner):
        for layer in runner.model.modules():
            if isinstance(layer, DropBlock2d):
                layer.register_forward_hook(self.note)

    def note(self, layer, args, output):
        self.maps += [args[0], output]


def test_channels_last_maps_reach_drop_block(tmp_path):
    model = detector(channels_last=True)
    runner = toy_runner(tmp_path, drop_block(), model=model, dataset=ToyBoxes())
    seen = SeenMaps()
    runner.register_hook(seen)
    runner.train()
    assert seen.maps
    for each in seen.maps:
        assert each.is_contiguous(memory_format=torch.channels_last)


@on_cpu
@pytest.mark.parametrize('dtype', ['bfloat16', 'float16'])
def test_mixed_precision(tmp_path, plain, dtype):
    """Parameters are updated in fp32; the maps, and so DropBlock, are in half."""
    wrapper = dict(
        type=CpuAmpOptimWrapper, dtype=dtype, loss_scale=128.0, optimizer=SGD
    )
    assert_same(train(tmp_path, optim_wrapper=wrapper), plain, **OTHER_MASKS)


@on_cpu
def test_mixed_precision_channels_last_and_recomputed(tmp_path, plain):
    hook = dict(
        type='dropblock_mm.ActivationCheckpointingHook', modules='backbone.layer4'
    )
    wrapper = dict(type=CpuAmpOptimWrapper, optimizer=SGD)
    logged = train(tmp_path, [hook], channels_last=True, optim_wrapper=wrapper)
    assert_same(logged, plain, **OTHER_MASKS)


@on_cpu
def test_a_dynamic_scale_finds_its_value(tmp_path, plain):
    """It starts too high for float16, skips updates, and halves itself."""
    wrapper = dict(type=CpuAmpOptimWrapper, dtype='float16', optimizer=SGD)
    assert_same(train(tmp_path, optim_wrapper=wrapper), plain, **OTHER_MASKS)


def test_gradient_accumulation(tmp_path, plain):
    """Weights change at every second iteration only, keep_prob at every one."""
    wrapper = dict(optimizer=SGD, accumulative_counts=2)
    logged = train(tmp_path, optim_wrapper=wrapper)
    assert logged['learnt']
    assert logged['loss'][0] == plain['loss'][0]
    # The rates do not depend on the weights.
    assert torch.equal(logged['keep_prob'], plain['keep_prob'])
    assert torch.equal(logged['effective_keep_rate'], plain['effective_keep_rate'])
    # 4 updates of the mean of two gradients instead of 8 updates.
    torch.testing.assert_close(logged['loss'], plain['loss'], rtol=0.03, atol=0)


def run_compiled(folder, model, hooks, compile_options):
    """Train with MMEngine's switch, which compiles all of train_step."""
    torch._dynamo.reset()
    runner = toy_runner(
        folder,
        hooks,
        model=model,
        dataset=ToyBoxes() if hasattr(model, 'bbox_head') else None,
        checkpoint_interval=-1,
        randomness=dict(seed=0),
        cfg=dict(compile=compile_options),
    )
    runner.train()
    read = runner.message_hub.get_scalar
    names = ('loss', 'effective_keep_rate')
    return [torch.tensor(read(f'train/{name}').data[0]) for name in names]


def test_compiled(tmp_path):
    """Of a small part of a ResNet, to be quick: the same until masks fall."""
    inject, schedule = drop_block('backbone')
    hooks = [inject, schedule | dict(begin=4, unit='iter')]
    one = dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))

    def run(name, compile_options):
        torch.manual_seed(0)
        model = ToyClassifier(toy_resnet(**one), 8)
        return run_compiled(tmp_path / name, model, hooks, compile_options)

    losses, rates = run('compiled', dict(backend='eager'))
    expected, expected_rates = run('plain', False)
    assert torch.isfinite(losses).all()
    torch.testing.assert_close(losses[:5], expected[:5], **SAME_MASKS)
    # Compiled code draws others, of as many units; keep_prob falls in one graph.
    torch.testing.assert_close(rates, expected_rates, rtol=0, atol=0.06)
    assert rates[4] == 1 > rates[-1]


@pytest.mark.nightly
def test_a_compiled_detector(tmp_path, plain):
    """With the default compiler; graphs break in mmdet's losses."""
    if shutil.which('g++') is None:
        pytest.skip("torch's compiler for the CPU needs g++, which is not here")
    model = detector()
    losses, rates = run_compiled(tmp_path, model, drop_block(), True)
    torch.testing.assert_close(losses, plain['loss'], rtol=3e-2, atol=0)
    expected = float(plain['effective_keep_rate'][-1])
    assert float(rates[-1]) == pytest.approx(expected, abs=0.06)
