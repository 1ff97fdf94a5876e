"""What compilers, fake tensors and exporters see of DropBlock."""

import itertools
import re
import shutil

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter
from torch._inductor.utils import run_and_get_code
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.checkpoint import checkpoint

from dropblock_mm import (
    DropBlock2d,
    detach_drop_block,
    drop_block_2d,
    expected_keep_rate,
    inject_drop_block,
)
from dropblock_mm.ops import traced
from dropblock_mm.ops.cpu import sparse
from dropblock_mm.ops.plan import BlockGeometry, Draw, make_plan
from dropblock_mm.ops.rates import seed_rate
from dropblock_mm.testing.toy import toy_resnet

needs_compiler = pytest.mark.skipif(
    shutil.which('g++') is None, reason='Inductor needs a C++ compiler on the CPU'
)
BACKENDS = ['aot_eager', pytest.param('inductor', marks=needs_compiler)]


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch.compiler.reset()
    torch.manual_seed(0)


def drop(x, key, keep_prob=0.7, block_size=3, shared_mask=False):
    shape = (x.shape[0], 1 if shared_mask else x.shape[1], *x.shape[2:])
    gamma = torch.tensor(
        seed_rate(keep_prob=keep_prob, block_size=block_size, feature_size=x.shape[2:])
    )
    block = (block_size, block_size)
    return traced.drop_units(x, gamma, torch.tensor(key), shape, block)


@pytest.mark.parametrize('shared_mask', [False, True])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_is_the_sparse_path_bit_for_bit(shared_mask, layout):
    x = torch.randn(3, 4, 9, 11).contiguous(memory_format=layout)
    grad = torch.randn(3, 4, 9, 11)
    geometry = BlockGeometry(
        (3, 1 if shared_mask else 4, 9, 11), (3, 3), 4 if shared_mask else 1
    )
    gamma = torch.tensor(
        seed_rate(keep_prob=0.7, block_size=3, feature_size=(9, 11))
    ).item()
    results = []
    for function in (
        lambda x: drop(x, 5, shared_mask=shared_mask),
        lambda x: sparse.drop_drawn(x, Draw.of(geometry, gamma, 5)),
    ):
        leaf = x.clone().requires_grad_()
        out, kept = function(leaf)
        out.backward(grad)
        results.append((out, leaf.grad, int(kept)))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert results[0][2] == results[1][2] < x.numel()


def test_gradcheck():
    x = torch.randn(2, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: drop(x, 1)[0], x)
    assert torch.autograd.gradgradcheck(lambda x: drop(x, 1)[0], x)


def test_operators_are_registered_as_torch_asks():
    gamma, key = torch.tensor(0.1), torch.tensor(5)
    for operator in (
        torch.ops.dropblock_mm.drop_mask,
        torch.ops.dropblock_mm.drop_mask_again,
    ):
        for channels_last in (False, True):
            how = [2, 3, 9, 8], [3, 3], channels_last
            torch.library.opcheck(operator.default, (gamma, key, *how))
    solve = torch.ops.dropblock_mm.solve_gamma.default
    torch.library.opcheck(solve, (torch.tensor(0.9), [3, 3], [9, 8]))


@pytest.mark.parametrize('calibrated', [False, True])
def test_fake_tensors_and_the_meta_device(calibrated):
    layer = DropBlock2d(keep_prob=0.9, block_size=3, calibrated=calibrated)
    with FakeTensorMode(allow_non_fake_inputs=True):
        x = torch.randn(2, 3, 8, 9, requires_grad=True)
        layer(x).sum().backward()
        assert x.grad.shape == x.shape
    layer = layer.to('meta')
    x = torch.randn(2, 3, 8, 9, device='meta', requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize('calibrated', [False, True])
@pytest.mark.parametrize('gamma_scale', [0.25, 1.0, 3.0])
def test_gamma_on_a_device_is_gamma_on_the_host(gamma_scale, calibrated):
    plan = make_plan((2, 4, 20, 9), 7, gamma_scale, calibrated, False)
    for keep_prob in (0.0, 0.25, 0.5, 0.875, 1.0):  # exact in fp32
        expected = pytest.approx(plan.gamma(keep_prob), rel=1e-5)
        for value in (keep_prob, torch.tensor(keep_prob)):
            gamma = plan.device_gamma(value, torch.device('cpu'))
            assert gamma.item() == expected


# ---- torch.compile


def test_one_graph_while_keep_prob_changes_200_times():
    model = toy_resnet()
    model.train()  # mmdet's returns None
    layers = [
        site.layer
        for site in inject_drop_block(
            model, [dict(module='layer[12]')], keep_prob=0.9, block_size=3
        )
    ]
    counter = CompileCounter()
    compiled = torch.compile(model, backend=counter, fullgraph=True)
    x = torch.randn(2, 3, 32, 32)
    for step in range(200):
        for layer in layers:
            layer.set_keep_prob(1.0 - step / 400)
        compiled(x)
    assert counter.frame_count == 1
    assert all(0.5 < layer.kept_units / layer.seen_units < 1 for layer in layers)


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('calibrated', [False, True])
def test_compiled_forward_and_backward_share_a_mask(backend, calibrated):
    layer = DropBlock2d(keep_prob=0.7, block_size=3, calibrated=calibrated)
    compiled = torch.compile(lambda x: layer(x * 2), backend=backend, fullgraph=True)
    masks = []
    for _ in range(3):
        x = torch.randn(2, 8, 13, 14, requires_grad=True)
        out = compiled(x)
        out.sum().backward()
        assert torch.equal(out == 0, x.grad == 0)
        torch.testing.assert_close(out, x * x.grad)
        masks.append(out == 0)
    assert not torch.equal(masks[0], masks[1])  # a new one every time
    kept = sum((~mask).sum().item() for mask in masks)
    assert layer.kept_units.item() == kept < layer.seen_units.item()


@pytest.mark.parametrize('backend', BACKENDS)
def test_compiled_graphs_keep_no_mask_for_backward(backend):
    layer = DropBlock2d(keep_prob=0.7, block_size=3)
    compiled = torch.compile(lambda x: layer(x), backend=backend, fullgraph=True)
    x = torch.randn(2, 64, 20, 20, requires_grad=True)
    saved = []

    def record(tensor):
        saved.append(tensor.numel() * tensor.element_size())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        compiled(x)
    assert 0 < sum(saved) < 0.02 * x.numel() * x.element_size()


@needs_compiler
def test_compiled_loops_read_no_booleans():
    """Inductor reads them one by one, and the mask is as large as the map."""
    layer = DropBlock2d(keep_prob=0.7, block_size=3)
    compiled = torch.compile(lambda x: layer(x * 2), fullgraph=True)
    x = torch.randn(2, 8, 13, 14, requires_grad=True)
    _, codes = run_and_get_code(lambda: compiled(x).sum().backward())
    assert len(codes) == 2
    for code in codes:
        assert 'const uint8_t*' in code
        assert 'bool*' not in code


def test_a_rate_of_any_precision_may_be_compiled():
    def mean_kept(rate):
        return drop_block_2d(x, keep_prob=rate, block_size=3).ne(0).float().mean()

    x = torch.ones(8, 16, 20, 20)
    compiled = torch.compile(mean_kept, backend='aot_eager', fullgraph=True)
    expected = expected_keep_rate(keep_prob=0.7, block_size=3, feature_size=(20, 20))
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        kept = compiled(torch.tensor(0.7, dtype=dtype))
        assert kept.item() == pytest.approx(expected, abs=0.02)


@needs_compiler
def test_keys_of_a_compiled_graph_are_drawn_by_one_call_and_differ():
    """Each call of torch from a graph goes through Python, between cold caches."""
    layer = DropBlock2d(keep_prob=0.5, block_size=1)
    compiled = torch.compile(lambda x: [layer(x) for _ in range(3)], fullgraph=True)
    outs, (code,) = run_and_get_code(lambda: compiled(torch.ones(2, 8, 13, 14)))
    calls = re.findall(r'^ +(?:\w+ = )?(?:torch\.ops\.)?(aten\.rand\S*)\(', code, re.M)
    assert calls == ['aten.randint.low_out']
    assert code.count('drop_mask.default(') == 3
    more = compiled(torch.ones(2, 8, 13, 14))
    masks = [out == 0 for out in (*outs, *more)]
    for one, other in itertools.combinations(masks, 2):
        shared = (one & other).float().mean().item()
        assert shared == pytest.approx(0.25, abs=0.05)  # 1456 units: 4.4 errors


def test_one_graph_for_every_size():
    layer = DropBlock2d(keep_prob=0.7, block_size=7)
    counter = CompileCounter()
    compiled = torch.compile(layer, backend=counter, fullgraph=True, dynamic=True)
    for size in [(20, 23), (21, 9), (7, 40), (5, 5), (33, 8)]:  # 5: block is clamped
        x = torch.randn(2, 8, *size, requires_grad=True)
        out = compiled(x)
        out.sum().backward()
        assert torch.equal(out == 0, x.grad == 0)
    assert counter.frame_count == 1


@pytest.mark.parametrize('backend', BACKENDS)
def test_checkpointing_inside_a_compiled_graph(backend):
    layer = DropBlock2d(keep_prob=0.5, block_size=3)

    def function(x):
        return checkpoint(lambda x: layer(x.sin()), x, use_reentrant=False)

    compiled = torch.compile(function, backend=backend, fullgraph=True)
    for step in range(5):
        layer.set_keep_prob(0.9 - 0.1 * step)
        x = torch.randn(2, 4, 12, 13, requires_grad=True)
        out = compiled(x)
        out.sum().backward()
        assert torch.equal(x.grad == 0, out == 0)


# ---- export in eval


def exported_operators(model):
    program = torch.export.export(model, (torch.randn(2, 3, 32, 32),))
    return program, [
        str(node.target) for node in program.graph.nodes if node.op == 'call_function'
    ]


def test_export_in_eval_is_that_of_the_plain_model():
    plain, model = toy_resnet(), toy_resnet()
    sites = inject_drop_block(
        model, [dict(module='layer2')], keep_prob=0.9, block_size=3
    )
    plain.eval()
    model.eval()
    expected_program, expected = exported_operators(plain)
    _, operators = exported_operators(model)
    assert operators == expected
    # The layers' buffers are inputs that nothing uses; without the layers, none.
    detach_drop_block(sites)
    program, operators = exported_operators(model)
    assert operators == expected
    assert program.graph_signature.buffers == expected_program.graph_signature.buffers


def test_onnx_export_in_eval_has_no_trace(tmp_path):
    pytest.importorskip('onnx', reason='ONNX export needs the onnx package')
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), DropBlock2d(keep_prob=0.5, block_size=3), nn.ReLU()
    ).eval()
    file = tmp_path / 'model.onnx'
    torch.onnx.export(model, (torch.randn(1, 3, 8, 8),), file, dynamo=False)
    import onnx

    graph = onnx.load(file).graph
    assert [node.op_type for node in graph.node] == ['Conv', 'Relu']
    assert not [value.name for value in graph.initializer if 'keep' in value.name]


class DropsTwice(nn.Module):
    def forward(self, x):
        return drop_block_2d(x * 2, keep_prob=0.5, block_size=3)


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
@pytest.mark.parametrize('dynamo', [False, True])
def test_onnx_export_in_training_says_what_to_do(tmp_path, dynamo):
    pytest.importorskip('onnx', reason='ONNX export needs the onnx package')
    if dynamo:
        pytest.importorskip('onnxscript', reason='this exporter needs onnxscript')
    options = {} if dynamo else dict(training=torch.onnx.TrainingMode.PRESERVE)
    with pytest.raises(Exception, match=r'Call model\.eval\(\) before exporting'):
        torch.onnx.export(
            DropsTwice().train(),
            (torch.randn(1, 3, 8, 8),),
            tmp_path / 'model.onnx',
            dynamo=dynamo,
            **options,
        )


def test_an_export_to_onnx_is_told_while_compilers_trace(monkeypatch):
    """Compilers take torch's own answer to be no; the exporter then goes on."""
    monkeypatch.setattr(torch.onnx, 'is_in_onnx_export', lambda: True)
    compiled = torch.compile(DropsTwice(), backend='eager', fullgraph=True)
    with pytest.raises(Exception, match='in training mode, and ONNX has no operator'):
        compiled(torch.randn(1, 3, 8, 8))


def test_export_in_training_keeps_one_operator():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), DropBlock2d(keep_prob=0.5, block_size=3)
    ).train()
    program = torch.export.export(model, (torch.randn(1, 3, 8, 8),))
    targets = [str(node.target) for node in program.graph.nodes]
    assert sum('dropblock_mm' in target for target in targets) == 1


def test_compiled_keep_rate_is_that_of_the_formula():
    torch.manual_seed(3)
    compiled = torch.compile(
        lambda x: drop_block_2d(x, keep_prob=0.8, block_size=5),
        backend='aot_eager',
        fullgraph=True,
    )
    x = torch.ones(512, 1, 20, 20)
    rates = (compiled(x) != 0).double().mean(dim=(1, 2, 3))
    expected = expected_keep_rate(keep_prob=0.8, block_size=5, feature_size=(20, 20))
    standard_error = rates.std().item() / len(rates) ** 0.5
    assert abs(rates.mean().item() - expected) < 5 * standard_error
