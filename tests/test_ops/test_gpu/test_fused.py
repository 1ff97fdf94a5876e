"""The autograd function around the kernels, on the GPU if there is one."""

import time
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from dropblock_mm import drop_block_2d
from dropblock_mm.ops import dense, drop_block_with_count, paths, traced
from dropblock_mm.ops.gpu import fused, kernels
from dropblock_mm.ops.plan import make_plan
from dropblock_mm.ops.rates import clamp_block, seed_grid, seed_rate

pytestmark = pytest.mark.usefixtures('triton_interpreter')
DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
needs_gpu = pytest.mark.skipif(DEVICE.type == 'cpu', reason='needs a CUDA device')

sizes = st.integers(1, 9)
shapes = st.tuples(st.integers(1, 2), st.integers(1, 3), sizes, sizes)


def on_device(number):
    return torch.tensor(number, device=DEVICE)


def run(x, grad, key=7, keep_prob=0.7, block_size=3, shared_mask=False, seeds=None):
    """Return the output, the gradient and the count of the fused path."""
    leaf = x.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    size = (x.shape[2], x.shape[3])
    gamma = on_device(
        seed_rate(keep_prob=keep_prob, block_size=block_size, feature_size=size)
    )
    mask_shape = (x.shape[0], 1 if shared_mask else x.shape[1], *size)
    block = clamp_block(block_size, size)
    out, kept = fused.drop_units(leaf, gamma, on_device(key), mask_shape, block, seeds)
    out.backward(grad)
    return out, leaf.grad, kept.item()


@given(shapes, st.integers(1, 10), st.booleans(), st.integers(0, 2**31))
@settings(max_examples=15, deadline=None)
def test_three_paths_agree_on_the_same_seeds(shape, block_size, shared_mask, seed):
    torch.manual_seed(seed)
    grid = seed_grid(block_size, shape[2:])
    seeds = torch.rand(shape[0], 1 if shared_mask else shape[1], *grid) < 0.15
    x, grad = torch.randn(shape), torch.randn(shape)
    options = dict(block_size=block_size, shared_mask=shared_mask, seeds=seeds)
    fused_options = options | dict(seeds=seeds.to(DEVICE))
    out, x_grad, kept = run(x.to(DEVICE), grad.to(DEVICE), **fused_options)
    out, x_grad = out.cpu(), x_grad.cpu()

    leaf = x.clone().requires_grad_()
    sparse_out, sparse_kept = drop_block_with_count(leaf, keep_prob=0.7, **options)
    sparse_out.backward(grad)
    mask = dense.drop_mask(seeds, clamp_block(block_size, shape[2:]))
    dense_out, dense_kept = dense.drop_units(x, mask)
    assert torch.equal(out, sparse_out)
    assert torch.equal(out, dense_out)
    assert torch.equal(x_grad, leaf.grad)
    assert torch.equal(x_grad, dense.drop_units(grad, mask)[0])
    assert kept == sparse_kept == dense_kept.item()


@pytest.mark.parametrize('shared_mask', [False, True])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_backward_draws_the_mask_of_forward(shared_mask, layout):
    torch.manual_seed(0)
    x = torch.ones(2, 4, 15, 17, device=DEVICE).contiguous(memory_format=layout)
    before = x.clone()
    out, grad, kept = run(x, torch.ones_like(x), shared_mask=shared_mask)
    assert torch.equal(out, grad)
    assert kept == (out != 0).sum().item() < x.numel()
    assert out.stride() == x.stride()
    assert torch.equal(x, before)
    other, *_ = run(x, torch.ones_like(x), key=8, shared_mask=shared_mask)
    assert not torch.equal(out == 0, other == 0)


def test_gradcheck():
    x = torch.randn(1, 2, 5, 6, dtype=torch.float64, device=DEVICE, requires_grad=True)
    gamma, key = on_device(0.1), on_device(3)

    def function(x):
        return fused.drop_units(x, gamma, key, (1, 2, 5, 6), (3, 3))[0]

    assert (function(x) == 0).any()
    assert torch.autograd.gradcheck(function, x, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, x, fast_mode=True)


def test_saves_three_numbers_for_backward():
    x = torch.randn(1, 8, 20, 20, device=DEVICE, requires_grad=True)
    gamma, key = on_device(0.1), on_device(3)
    saved = []

    def record(tensor):
        saved.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        fused.drop_units(x, gamma, key, (1, 8, 20, 20), (3, 3))
    assert sum(saved) == 3


@pytest.mark.parametrize('shared_mask', [False, True])
def test_compilers_are_given_the_same_mask(shared_mask):
    """What drop_mask calls on a GPU, against the mask of the fused path."""
    x = torch.ones(2, 4, 9, 11, device=DEVICE)
    gamma, key = on_device(0.04), on_device(11)
    shape = (2, 1 if shared_mask else 4, 9, 11)
    out, kept = fused.drop_units(x, gamma, key, shape, (3, 3))
    mask, mask_kept = traced._drop_mask_on_cuda(gamma, key, [*shape], [3, 3])
    assert mask.dtype == torch.uint8
    assert torch.equal(out == 0, mask.bool().expand_as(x))
    assert kept == mask_kept * (4 if shared_mask else 1) < x.numel()
    again = traced._drop_mask_again_on_cuda(gamma, key, [*shape], [3, 3])
    assert torch.equal(again, mask)


def test_the_cpu_does_not_take_this_path():
    assert not fused.is_available(torch.device('cpu'))


@pytest.mark.skipif(torch.cuda.is_available(), reason='a CUDA device is here')
def test_fake_tensors_may_name_a_device_that_is_not_there():
    assert fused.why_not(torch.device('cuda')) == 'there is no CUDA device'


def test_the_kernels_are_tried_before_they_are_used(monkeypatch):
    """Triton without a compiler, for example, must not end a training."""

    assert fused._failure(DEVICE) == ''
    with FakeTensorMode():
        assert fused._failure(DEVICE) == ''

    def fail(*args):
        raise RuntimeError('Failed to find C compiler.\nPlease specify')

    monkeypatch.setattr(kernels, 'scale_and_drop', fail)
    reason = 'Triton fails (RuntimeError: Failed to find C compiler.'
    assert fused._failure(DEVICE) == reason


def test_transformed_tensors_do_not_reach_the_kernels(monkeypatch):
    monkeypatch.setattr(paths, '_path_of', lambda *_, **__: fused.drop)
    x = torch.randn(2, 3, 8, 8, device=DEVICE)
    seeds = torch.rand(2, 3, 6, 6, device=DEVICE) < 0.1

    def function(x):
        return drop_block_2d(x, keep_prob=0.5, block_size=3, seeds=seeds)

    plain = function(x)  # by the kernels
    assert torch.equal(torch.func.jvp(function, (x,), (x,))[1], plain)
    assert torch.equal(torch.func.vmap(function)(x[None])[0], plain)


@pytest.mark.parametrize('seeded', [False, True])
@pytest.mark.parametrize('shared_mask', [False, True])
def test_lines_are_maps_of_height_1(shared_mask, seeded):
    channels = 1 if shared_mask else 4
    seeds = torch.rand(3, channels, 18, device=DEVICE) < 0.1 if seeded else None
    results = []
    for shape, sides in (((3, 4, 20), (3,)), ((3, 4, 1, 20), (1, 3))):
        torch.manual_seed(0)
        leaf = torch.randn(shape, device=DEVICE, requires_grad=True)
        grad = torch.randn(shape, device=DEVICE)
        torch.manual_seed(1)
        plan = make_plan(shape, sides, 1.0, False, shared_mask)
        given = seeds if seeds is None else seeds.view(3, channels, *shape[2:-1], 18)
        out, kept = fused.drop(leaf, plan, 0.6, given)
        out.backward(grad)
        assert out.shape == leaf.shape
        assert kept.item() == (out != 0).sum().item() < leaf.numel()
        results.append((out.flatten(), leaf.grad.flatten()))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_compilers_are_given_the_mask_of_a_line():
    gamma, key = on_device(0.04), on_device(11)
    dropped, kept = traced._drop_mask_on_cuda(gamma, key, [2, 4, 30], [5])
    as_map, map_kept = traced._drop_mask_on_cuda(gamma, key, [2, 4, 1, 30], [1, 5])
    assert torch.equal(dropped, as_map.squeeze(2))
    assert kept == map_kept < 240
    again = traced._drop_mask_again_on_cuda(gamma, key, [2, 4, 30], [5])
    assert torch.equal(again, dropped)


@pytest.mark.parametrize(('reason', 'path'), [('', fused.drop), ('no', dense.drop)])
@pytest.mark.filterwarnings('ignore:DropBlock takes its slow path')
def test_where_the_kernels_fail_the_dense_path_is_taken(monkeypatch, reason, path):
    monkeypatch.setattr(fused, 'why_not', lambda device: reason)
    on_cuda = SimpleNamespace(device=torch.device('cuda'), dim=lambda: 4)
    assert paths._path_of(on_cuda, plain=True, draws=True) is path


def test_compilers_do_not_look_into_the_question(monkeypatch):
    def ask_the_driver(device):
        return '' if time.time() > 0 and print('asked') is None else 'no'  # not traced

    monkeypatch.setattr(fused, 'why_not', ask_the_driver)
    torch.compiler.reset()
    compiled = torch.compile(
        lambda x: x + fused.is_available(x.device), backend='eager', fullgraph=True
    )
    assert compiled(torch.zeros(())).item() == 1


@pytest.mark.gpu
@needs_gpu
def test_a_cuda_tensor_takes_this_path_without_waiting():
    device = torch.device('cuda')
    assert fused.is_available(device)
    x = torch.randn(2, 64, 40, 40, device=device, requires_grad=True)
    keep_prob = torch.tensor(0.9, device=device)
    drop_block_2d(x, keep_prob=keep_prob, block_size=7).sum().backward()  # compiles
    x.grad = None
    torch.cuda.set_sync_debug_mode('error')
    try:
        out = drop_block_2d(x, keep_prob=keep_prob, block_size=7)
        out.sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert torch.equal(out == 0, x.grad == 0)
    assert (out == 0).any()


@pytest.mark.gpu
@needs_gpu
def test_a_compiled_graph_on_cuda_draws_the_same_mask():
    device = torch.device('cuda')
    gamma = torch.tensor(0.01, device=device)
    key = torch.tensor(5, device=device)
    x = torch.randn(2, 8, 20, 20, device=device, requires_grad=True)
    shape, block = (2, 8, 20, 20), (5, 5)

    def traced_drop(x):
        return traced.drop_units(x, gamma, key, shape, block)[0]

    out = torch.compile(traced_drop, fullgraph=True)(x)
    expected, _ = fused.drop_units(x, gamma, key, shape, block)
    assert torch.equal(out == 0, expected == 0)
    torch.testing.assert_close(out, expected)
