"""What recorders of a model see of a layer: torch.fx, TorchScript, ONNX, export."""

import copy

import pytest
import torch
from torch import fx, nn
from torch.ao.quantization import get_default_qat_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_qat_fx

from dropblock_mm import inject_drop_block
from dropblock_mm.layers import ScheduledDrop
from dropblock_mm.testing.toy import toy_resnet

FREE = 8  # channels of the fixture x


class PathTracer(fx.Tracer):
    """Names nodes by the path of their module, as torchvision's NodePathTracer."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.path, self.paths = '', {}

    def call_module(self, m, forward, args, kwargs):
        before, self.path = self.path, self.path_of_module(m)
        try:
            if self.is_leaf_module(m, self.path):
                return self.create_proxy('call_module', self.path, args, kwargs)
            return forward(*args, **kwargs)
        finally:
            self.path = before

    def create_proxy(self, kind, target, args, kwargs, *rest, **options):
        proxy = super().create_proxy(kind, target, args, kwargs, *rest, **options)
        self.paths[proxy.node] = self.path
        return proxy


def trace_by_path(model):
    tracer = PathTracer()
    graph = tracer.trace(model)
    assert '1' in tracer.paths.values()
    return fx.GraphModule(model, graph)


def around(layer):
    return nn.Sequential(nn.Conv2d(FREE, FREE, 1), layer)


@pytest.fixture
def model(build, x):
    """The layer after one that leaves its input's sizes as they are."""
    return nn.Sequential(nn.Hardtanh(-1.0, 1.0), build(0.5))


@pytest.mark.parametrize('trace', [fx.symbolic_trace, trace_by_path])
@pytest.mark.parametrize('training', [True, False])
def test_fx_sees_one_node_that_is_the_layer(trace, training, model, x):
    traced = trace(model.train(training))
    targets = [node.target for node in traced.graph.nodes if node.op == 'call_module']
    assert targets == ['0', '1']
    assert len(traced.graph.nodes) == 4  # and input and output
    layer = model[1]
    assert traced.get_submodule('1') is layer
    traced.train()
    dropped = (traced(x) == 0).sum().item()
    assert layer.seen_units - layer.kept_units == dropped > 0
    layer.set_keep_prob(1.0)
    assert torch.equal(traced(x), model[0](x))
    layer.set_keep_prob(0.5)
    assert torch.equal(traced.eval()(x), model[0](x))


def test_a_layer_alone_is_no_node_of_its_own_graph(build):
    with pytest.raises(RuntimeError, match=r'nn\.Sequential\(layer\)'):
        fx.symbolic_trace(build(0.5))


def test_injected_layers_work_in_a_traced_model():
    model = toy_resnet()
    sites = inject_drop_block(
        model, [dict(module='layer2')], keep_prob=0.5, block_size=3
    )
    with pytest.warns(UserWarning, match='does not trace'):
        traced = fx.symbolic_trace(model)
    traced.train()
    x = torch.randn(2, 3, 32, 32)
    traced(x)
    assert all(site.layer.seen_units > 0 for site in sites)
    # Those that hooks call are no part of the traced model: they follow the other.
    model.eval()
    torch.testing.assert_close(traced.eval()(x), model(x))


def test_quantisation_aware_training_goes_through(build, x):
    if x.dim() != 4:
        model = nn.Sequential(nn.Hardtanh(-1.0, 1.0), build(0.5))
    else:
        model = around(build(0.5))
    prepared = prepare_qat_fx(
        model.train(), get_default_qat_qconfig_mapping('fbgemm'), (x,)
    )
    (layer,) = [m for m in prepared.modules() if isinstance(m, ScheduledDrop)]
    leaf = x.clone().requires_grad_()
    prepared(leaf).sum().backward()
    assert layer.seen_units.item() == x.numel()
    assert 0 < layer.kept_units.item() < x.numel()
    layer.set_keep_prob(1.0)
    layer.reset_count()
    prepared(x)
    assert layer.kept_units.item() == x.numel()
    converted = convert_fx(prepared.eval())
    assert converted(x).shape == x.shape


@pytest.mark.parametrize('record', [torch.jit.trace, 'onnx'])
def test_recording_one_mask_is_refused(record, model, x, tmp_path):
    if record == 'onnx':
        pytest.importorskip('onnx', reason='ONNX export needs the onnx package')

        def record(model, x):
            file = tmp_path / 'model.onnx'
            torch.onnx.export(
                model,
                (x,),
                file,
                dynamo=False,
                training=torch.onnx.TrainingMode.PRESERVE,
            )

    name = type(model[1]).__name__
    with pytest.raises(RuntimeError, match=rf'{name} is in training.*model\.eval\(\)'):
        record(model, x)
    record(model.eval(), x)


def test_onnx_export_in_training_by_torch_export_says_eval(model, x, tmp_path):
    pytest.importorskip('onnxscript', reason='this exporter needs onnxscript')
    with pytest.raises(Exception, match=r'model\.eval\(\)'):
        torch.onnx.export(
            model,
            (x,),
            tmp_path / 'model.onnx',
            dynamo=True,
            training=torch.onnx.TrainingMode.PRESERVE,
        )


def test_torchscript_in_eval_is_the_identity(model, x):
    scripted = torch.jit.script(copy.deepcopy(model).eval())
    assert torch.equal(scripted(x), model[0](x))
    frozen = torch.jit.freeze(scripted)
    assert torch.equal(frozen(x), model[0](x))
    with pytest.raises(torch.jit.Error, match=r'Call model\.eval\(\) before'):
        scripted.train()(x)


def test_export_in_eval_has_nothing_of_the_layer(model, x):
    program = torch.export.export(model.eval(), (x,))
    calls = [n for n in program.graph.nodes if n.op == 'call_function']
    assert [str(n.target) for n in calls] == ['aten.hardtanh.default']


def test_export_in_training_drops_and_counts(model, x):
    program = torch.export.export(model, (x,)).module()
    out = program(x)
    counts = {name.split('.')[-1]: b.item() for name, b in program.named_buffers()}
    assert counts['seen_units'] == x.numel()
    assert counts['kept_units'] == (out != 0).sum().item() < x.numel()


@pytest.mark.parametrize('strict', [True, False])
@pytest.mark.parametrize(
    'run',
    [
        lambda program: program.module(),
        torch.export.unflatten,
        lambda program: torch.export.unflatten(program.run_decompositions()),
    ],
)
def test_what_was_exported_learns_through_the_mask(strict, run, model, x):
    model = nn.Sequential(nn.PReLU(init=1.0), *model)  # weights are followed
    program = run(torch.export.export(model, (x,), strict=strict))
    leaf = x.clamp(-0.9, 0.9).requires_grad_()
    out = program(leaf)
    out.sum().backward()
    assert torch.equal(leaf.grad == 0, out == 0)
    torch.testing.assert_close(out, leaf * leaf.grad)
    assert (out == 0).any()
    assert all(weight.grad.abs() > 0 for weight in program.parameters())


def test_torchvisions_feature_extractor(build, x):
    extraction = pytest.importorskip('torchvision.models.feature_extraction')
    model = nn.Sequential(nn.Hardtanh(-1.0, 1.0), build(0.5), nn.Hardtanh(-1.0, 1.0))
    extractor = extraction.create_feature_extractor(model, {'1': 'dropped'}).train()
    out = extractor(x)['dropped']
    assert model[1].seen_units.item() == x.numel()
    assert model[1].kept_units.item() == (out != 0).sum().item() < x.numel()
