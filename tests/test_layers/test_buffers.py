"""Whatever happens to a layer's buffers: the rate is what was asked, counts count."""

import copy
import functools
import io
import pickle

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.optim.swa_utils import AveragedModel, update_bn

from dropblock_mm import inject_drop_block
from dropblock_mm.testing.toy import toy_resnet

RATE = 0.7


def spoil(shape, dtype, device):
    """Memory as to_empty may find it: a rate that is not one, counts that are wild."""
    return torch.full(shape, -7, dtype=dtype, device=device)


@pytest.fixture(autouse=True)
def wild_memory(monkeypatch):
    """Have fresh memory hold what it may, not what it happens to."""

    def empty_like(tensor, *, device=None, dtype=None, **kwargs):
        return spoil(tensor.shape, dtype or tensor.dtype, device or tensor.device)

    monkeypatch.setattr(torch, 'empty_like', empty_like)


def assert_keeps_its_word(layer, x, rate=RATE, seen=0):
    """The rate is exact, what is kept is counted, and both can be changed."""
    layer.train()
    dtype = x.dtype
    out = layer(x)
    assert out.dtype == dtype
    assert layer.keep_prob.item() == torch.tensor(rate, dtype=torch.float32).item()
    assert layer.keep_prob.dtype == torch.float32
    assert layer.seen_units.item() == seen + x.numel()
    assert layer.seen_units.dtype == torch.int64
    if not seen:
        assert layer.kept_units.item() == (out != 0).sum().item()
    layer.reset_count()
    assert layer.seen_units.item() == layer.kept_units.item() == 0
    layer.set_keep_prob(1.0)
    assert torch.equal(layer(x), x)
    layer.set_keep_prob(0.0)
    assert layer.keep_prob.item() == 0.0
    assert 'keep_prob=0' in repr(layer)
    layer.set_keep_prob(rate)


# ---- From the meta device


def on_meta(build):
    with torch.device('meta'):
        return build(RATE)


def with_default_device(build):
    torch.set_default_device('meta')
    try:
        return build(RATE)
    finally:
        torch.set_default_device(None)


def moved(build):
    return build(RATE).to('meta')


def emptied(build):
    return build(RATE).to_empty(device='meta')


def patched_registration(build):
    """As accelerate's init_empty_weights: buffers go to meta as they are registered."""
    register = nn.Module.register_buffer

    def register_on_meta(module, name, buffer, persistent=True):
        register(module, name, buffer, persistent=persistent)
        module._buffers[name] = module._buffers[name].to('meta')

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, 'register_buffer', register_on_meta)
        return build(RATE)


def copied(build):
    return copy.deepcopy(on_meta(build))


def loaded_on_meta(build):
    """The whole module was saved, and nothing calls its constructor."""
    file = io.BytesIO()
    torch.save(build(RATE), file)
    file.seek(0)
    return torch.load(file, map_location='meta', weights_only=False)


def to_empty(layer):
    return layer.to_empty(device='cpu')


def to_empty_alone(layer):
    """As FSDP's param_init_fn: module by module, and what a module knows to reset."""
    layer.to_empty(device='cpu', recurse=False)
    layer.reset_parameters()
    return layer


def put_into_the_dict(layer):
    """As transformers and accelerate do, behind the module's back."""
    for name, buffer in layer._buffers.items():
        layer._buffers[name] = torch.empty_like(buffer, device='cpu')
    return layer


def set_as_attributes(layer):
    for name, buffer in [*layer.named_buffers()]:
        setattr(layer, name, torch.empty_like(buffer, device='cpu'))
    return layer


def registered_anew(layer):
    for name, buffer in [*layer.named_buffers()]:
        empty = torch.empty_like(buffer, device='cpu')
        layer.register_buffer(name, empty, persistent=False)
    return layer


def left_there(layer):
    """As load_state_dict(assign=True): weights get values, these buffers nothing."""
    nn.Sequential(layer).load_state_dict({}, assign=True)
    return layer


def put_into_the_dict_and_cast(layer):
    return put_into_the_dict(layer).bfloat16().double().cpu()


@pytest.mark.parametrize(
    'make',
    [
        on_meta,
        with_default_device,
        moved,
        emptied,
        patched_registration,
        copied,
        loaded_on_meta,
    ],
)
@pytest.mark.parametrize(
    'materialise',
    [
        to_empty,
        to_empty_alone,
        put_into_the_dict,
        put_into_the_dict_and_cast,
        set_as_attributes,
        registered_anew,
        left_there,
    ],
)
def test_from_meta(make, materialise, build, x):
    layer = make(build)
    assert all(buffer.is_meta for buffer in layer.buffers())
    assert_keeps_its_word(materialise(layer), x)


def test_from_fake_tensors(build, x):
    with FakeTensorMode():
        layer = build(RATE)
    for name, buffer in layer._buffers.items():
        layer._buffers[name] = spoil((), buffer.dtype, 'cpu')
    assert_keeps_its_word(layer, x)


@pytest.mark.parametrize('materialise', [to_empty, put_into_the_dict, left_there])
def test_a_rate_that_is_set_on_meta_is_the_rate(materialise, build, x):
    layer = on_meta(build)
    layer.set_keep_prob(0.4)
    assert_keeps_its_word(materialise(layer), x, rate=0.4)


@pytest.mark.parametrize('materialise', [to_empty, put_into_the_dict, left_there])
def test_a_rate_set_while_memory_is_wild_is_the_rate(materialise, build, x):
    layer = materialise(on_meta(build))
    layer.set_keep_prob(0.4)
    assert_keeps_its_word(layer, x, rate=0.4)


def test_without_a_rate_everything_is_kept(build, x):
    layer = to_empty(on_meta(lambda rate: build(None)))
    assert torch.equal(layer(x), x)


@pytest.mark.parametrize('materialise', [to_empty, put_into_the_dict, left_there])
def test_compiled_from_meta_it_is_one_graph(materialise, build, x):
    torch.compiler.reset()
    layer = materialise(on_meta(build))
    out = torch.compile(layer, backend='aot_eager', fullgraph=True)(x)
    assert layer.keep_prob.item() == pytest.approx(RATE)
    assert layer.seen_units.item() == x.numel()
    assert layer.kept_units.item() == (out != 0).sum().item()


def test_to_empty_of_a_real_layer_changes_nothing(build, x):
    layer = build(RATE)
    layer(x)
    assert_keeps_its_word(to_empty(layer), x, seen=x.numel())


def test_reset_parameters_starts_anew_with_the_rate_of_now(build, x):
    layer = build(0.9)
    layer.set_keep_prob(RATE)
    layer(x)
    layer.reset_parameters()
    assert_keeps_its_word(layer, x)


def test_every_layer_of_an_injected_model_from_meta():
    with torch.device('meta'):
        model = toy_resnet()
        targets = [dict(module='layer1'), dict(module='layer2', keep_prob=0.6)]
        sites = inject_drop_block(model, targets, keep_prob=0.9, block_size=3)
    model.to_empty(device='cpu')
    for module in model.modules():
        if hasattr(module, 'reset_running_stats'):
            module.reset_running_stats()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    model.train()
    model(torch.randn(4, 3, 32, 32))
    for site in sites:
        rate = 0.6 if site.target.module == 'layer2' else 0.9
        assert site.layer.keep_prob.item() == pytest.approx(rate)
        assert 0 < site.layer.kept_units <= site.layer.seen_units


# ---- dtypes, devices, copies


def change(name, *arguments):
    return lambda layer: getattr(layer, name)(*arguments)


def saved_and_loaded(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    'clone',
    [
        copy.deepcopy,
        copy.copy,
        lambda layer: pickle.loads(pickle.dumps(layer)),
        saved_and_loaded,
        change('half'),
        change('bfloat16'),
        change('double'),
        change('float'),
        change('type', torch.float16),
        change('to', torch.bfloat16),
        change('to', 'cpu', torch.float16),
        change('share_memory'),
        change('cpu'),
        change('_apply', lambda tensor: tensor.clone()),
        change('apply', lambda module: None),
        change('requires_grad_', False),
    ],
)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_the_rate_and_the_counts_go_along(clone, dtype, build, x):
    layer = build(0.9)
    layer.set_keep_prob(RATE)
    layer(x)
    kept = layer.kept_units.item()
    cloned = clone(layer)
    assert (cloned.kept_units, cloned.seen_units) == (kept, x.numel())
    assert repr(cloned) == repr(layer)
    assert cloned.final_keep_prob == 0.9
    assert_keeps_its_word(cloned, x.to(dtype), seen=x.numel())


def test_shared_memory_is_shared(build):
    layer = build(RATE).share_memory()
    assert all(buffer.is_shared() for buffer in layer.buffers())
    layer.set_keep_prob(0.4)
    layer.reset_count()
    assert all(buffer.is_shared() for buffer in layer.buffers())


def test_moving_keeps_the_tensors_that_others_hold(build):
    layer = build(RATE)
    before = dict(layer.named_buffers())
    layer.half().to('cpu').float()
    assert all(layer.get_buffer(name) is before[name] for name in before)


@pytest.mark.parametrize('use_buffers', [False, True])
def test_averages_of_models(use_buffers, build, x):
    model = nn.Sequential(nn.Conv2d(8, 8, 1), build(RATE))
    averaged = AveragedModel(model, use_buffers=use_buffers)
    model[1](x)
    averaged.update_parameters(model)
    averaged.update_parameters(model)
    assert averaged.module[1].keep_prob.item() == pytest.approx(RATE)
    assert torch.equal(averaged.eval().module[1](x), x)


def averaged_rate(averaged, model, update):
    for rate in (1.0, 0.8, 0.6):
        model[1].set_keep_prob(rate)
        update(model)
    return round(averaged.module[1].keep_prob.item(), 5)


@pytest.mark.parametrize(('use_buffers', 'expected'), [(False, 0.6), (True, 0.8)])
def test_rates_of_torchs_averages(use_buffers, expected, build):
    """As the page of plain PyTorch has it, like the next two."""
    model = nn.Sequential(nn.Conv2d(8, 8, 1), build(1.0))
    averaged = AveragedModel(model, use_buffers=use_buffers)
    assert averaged_rate(averaged, model, averaged.update_parameters) == expected


@pytest.mark.parametrize(('update_buffers', 'expected'), [(False, 0.6), (True, 0.9)])
def test_rates_of_mmengines_averages(update_buffers, expected, build):
    ema = pytest.importorskip('mmengine.model').ExponentialMovingAverage
    model = nn.Sequential(nn.Conv2d(8, 8, 1), build(0.9))
    averaged = ema(model, update_buffers=update_buffers)
    assert averaged_rate(averaged, model, averaged.update_parameters) == expected


@pytest.mark.parametrize('rate', [0.6, 1.0])
def test_update_bn_drops_unless_it_is_told_not_to(rate, build, x):
    averaged = AveragedModel(nn.Sequential(build(0.6), nn.Flatten(), norm_of(x)))
    averaged.module[0].set_keep_prob(rate)
    update_bn([x], averaged.eval())
    off = averaged.module[2].running_mean - x.flatten(1).mean(0)
    assert (off.abs().max() < 1e-5) == (rate == 1.0)
    assert not averaged.training


def norm_of(x):
    return nn.BatchNorm1d(x[0].numel())


def test_mmengines_averages(build, x):
    ema = pytest.importorskip('mmengine.model').ExponentialMovingAverage
    model = nn.Sequential(nn.Conv2d(8, 8, 1), build(RATE))
    averaged = ema(model)
    model[1](x)
    averaged.update_parameters(model)
    assert averaged.module[1].keep_prob.item() == pytest.approx(RATE)
    assert averaged.module[1].seen_units.item() == x.numel()


# ---- inference mode


@pytest.mark.parametrize(
    'clone', [copy.deepcopy, change('_apply', torch.clone), lambda layer: layer]
)
def test_built_or_copied_under_inference_mode_it_trains(clone, build, x):
    with torch.inference_mode():
        layer = clone(build(RATE))
    leaf = x.clone().requires_grad_()
    out = layer(leaf)
    out.sum().backward()
    assert torch.equal(leaf.grad == 0, out == 0)
    layer.reset_count()
    assert_keeps_its_word(layer, x)


def test_run_under_inference_mode_it_trains(build, x):
    layer = build(RATE)
    with torch.inference_mode():
        layer(x)
        layer.set_keep_prob(RATE)
    assert_keeps_its_word(layer, x, seen=x.numel())


def test_a_frozen_layer_takes_a_rate_and_a_new_count(build, x):
    with torch.inference_mode():
        frozen = functools.partial(copy.deepcopy, build(0.9))
        first, second = frozen(), frozen()
    first.set_keep_prob(RATE)
    second.reset_count()
    assert_keeps_its_word(first, x)
    assert_keeps_its_word(second, x, rate=0.9)
