"""Sharded and wrapped models, in one process on the CPU."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor import (
    DTensor,
    Partial,
    Replicate,
    Shard,
    distribute_tensor,
)
from torch.nn.parallel import DistributedDataParallel

from dropblock_mm.layers import ScheduledDrop

pytestmark = pytest.mark.skipif(
    not dist.is_gloo_available(), reason='torch was built without gloo'
)
RATE = 0.7


@pytest.fixture
def group(tmp_path):
    """One process that is a group of its own."""
    store = dist.FileStore(str(tmp_path / 'store'), 1)
    dist.init_process_group('gloo', store=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.fixture
def make(build, x):
    """A model with the layer between two that have weights."""
    width = x.shape[-1]
    return lambda: nn.Sequential(
        nn.Linear(width, width), build(0.9), nn.Linear(width, width)
    )


def initialise(model):
    """Give the weights values; the layers see to their own buffers."""
    assert not any(tensor.is_meta for tensor in model.buffers())
    for parameter in model.parameters():
        nn.init.normal_(parameter)


def assert_trains_and_keeps_its_word(model, x, rate=RATE):
    (layer,) = (m for m in model.modules() if isinstance(m, ScheduledDrop))
    assert layer.keep_prob.item() == pytest.approx(rate)
    assert (layer.kept_units, layer.seen_units) == (0, 0)
    seen = []
    layer.register_forward_hook(lambda module, inputs, out: seen.append(out))
    model.train()
    model(x).sum().backward()
    assert layer.seen_units.item() == x.numel()
    assert layer.kept_units.item() == (seen[0] != 0).sum().item() < x.numel()
    layer.set_keep_prob(1.0)
    model(x)
    assert (seen[1] != 0).all()


def set_rate(model):
    for module in model.modules():
        if isinstance(module, ScheduledDrop):
            module.set_keep_prob(RATE)


def test_fully_shard_from_meta(group, make, x):
    with torch.device('meta'):
        model = make()
    set_rate(model)
    mesh = init_device_mesh('cpu', (1,))
    fully_shard(model[0], mesh=mesh)
    fully_shard(model, mesh=mesh)
    model.to_empty(device='cpu')
    initialise(model)
    assert_trains_and_keeps_its_word(model, x)


def test_a_tensor_over_processes_drops_in_parts_along_the_samples(group, build, x):
    layer, mesh = build(RATE), init_device_mesh('cpu', (1,))
    spread = distribute_tensor(x, mesh, [Shard(0)]).requires_grad_()
    out = layer(spread)
    assert type(out) is DTensor
    assert (out.placements, out.shape) == (spread.placements, x.shape)
    whole = out.full_tensor()
    out.sum().backward()
    torch.testing.assert_close(whole, x * spread.grad.full_tensor())
    assert layer.seen_units.item() == x.numel()
    assert layer.kept_units.item() == (whole != 0).sum().item() < x.numel()
    assert layer.eval()(spread) is spread


@pytest.mark.parametrize('placement', [Shard(1), Shard(2), Replicate(), Partial()])
def test_one_mask_of_several_processes_is_refused(placement, group, build, x):
    spread = DTensor.from_local(x, init_device_mesh('cpu', (1,)), [placement])
    layer = build(RATE)
    with pytest.raises(ValueError, match=r'DTensor.*redistribute.*Shard\(0\)'):
        layer(spread)
    assert layer.seen_units.item() == 0


def test_fully_shard_of_a_real_model(group, make, x):
    model = make()
    set_rate(model)
    fully_shard(model, mesh=init_device_mesh('cpu', (1,)))
    assert_trains_and_keeps_its_word(model, x)


@pytest.mark.parametrize('use_orig_params', [False, True])
@pytest.mark.parametrize('from_meta', [False, True])
@pytest.mark.parametrize('with_function', [False, True])
def test_fsdp(use_orig_params, from_meta, with_function, group, make, x):
    def materialise(module):
        module.to_empty(device='cpu', recurse=False)
        if hasattr(module, 'reset_parameters'):
            module.reset_parameters()

    if from_meta:
        with torch.device('meta'):
            model = make()
    else:
        model = make()
    set_rate(model)
    wrapped = FullyShardedDataParallel(
        model,
        device_id=torch.device('cpu'),
        use_orig_params=use_orig_params,
        param_init_fn=materialise if with_function else None,
    )
    assert_trains_and_keeps_its_word(wrapped, x)


def test_mmengines_fsdp_skips_the_weights(build, x):
    strategy = pytest.importorskip('mmengine._strategy').FSDPStrategy
    registry = pytest.importorskip('mmengine.registry').MODELS
    made = object.__new__(strategy)  # its constructor wants a GPU
    made.skip_init_weights = True
    registry.register_module('ToBeSharded', module=lambda: build(RATE))
    try:
        layer = made.build_model(dict(type='ToBeSharded'))
    finally:
        registry.module_dict.pop('ToBeSharded')
    assert layer.keep_prob.item() == pytest.approx(RATE)
    layer.train()
    out = layer(x)
    assert layer.seen_units.item() == x.numel()
    assert layer.kept_units.item() == (out != 0).sum().item() < x.numel()


def test_distributed_data_parallel(group, make, x):
    model = make()
    set_rate(model)
    copied = copy.deepcopy(model)
    assert_trains_and_keeps_its_word(DistributedDataParallel(model), x)
    assert_trains_and_keeps_its_word(copied, x)
