"""Injected models that torch.fx traces: layers become nodes, or are told of."""

import copy
import warnings

import pytest
import torch
from torch import fx, nn
from torch.ao.quantization import get_default_qat_qconfig_mapping
from torch.ao.quantization.quantize_fx import prepare_qat_fx

from dropblock_mm import DropPath, inject, inject_drop_block
from dropblock_mm.injection import trace
from dropblock_mm.injection.places import OnInput
from dropblock_mm.layers import ScheduledDrop
from dropblock_mm.testing.toy_blocks import BasicBlock, PlainBlock

TARGETS = [dict(module='[01]')]
ONCE = 'forward hook, which torch.fx does not trace'


def resnet():
    torch.manual_seed(0)
    return nn.Sequential(BasicBlock(4, 8), BasicBlock(8, 8)).train()


def injected(where='both'):
    model = resnet()
    return model, inject_drop_block(
        model, TARGETS, keep_prob=0.5, block_size=3, where=where
    )


def steps(model, x):
    """Return what a model gives, each layer with its own random numbers."""
    torch.manual_seed(1)
    return model(x)


@pytest.mark.parametrize('where', ['conv', 'shortcut', 'both', 'branch'])
def test_a_traced_model_computes_what_the_injected_one_does(where):
    model, sites = injected(where)
    x = torch.randn(2, 4, 16, 16)
    expected = steps(model, x)
    assert not torch.equal(expected, steps(resnet(), x))
    plain, keys = copy.deepcopy(model), [*model.state_dict()]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        traced = trace(model, sites)
    torch.testing.assert_close(steps(traced, x), expected)
    assert [*traced.state_dict()] == keys
    # The model is as before; the graph follows train() and eval() by itself.
    assert not any(isinstance(m, ScheduledDrop) for m in model.modules())
    assert torch.equal(traced.eval()(x), traced(x))
    for each in sites:
        each.layer.set_keep_prob(1.0)
    torch.testing.assert_close(traced.train()(x), model(x))
    assert len([m for m in plain.modules() if isinstance(m, ScheduledDrop)]) == len(
        sites
    )


@pytest.mark.parametrize('where', ['conv', 'shortcut', 'both', 'branch'])
def test_quantisation_aware_training_keeps_every_layer(where):
    model, sites = injected(where)
    x = torch.randn(2, 4, 16, 16)
    prepared = prepare_qat_fx(
        trace(model, sites), get_default_qat_qconfig_mapping('fbgemm'), (x,)
    )
    prepared(x).sum().backward()
    layers = [m for m in prepared.modules() if isinstance(m, ScheduledDrop)]
    assert len(layers) == len(sites)
    assert all(0 < layer.kept_units < layer.seen_units for layer in layers)


def test_the_branch_gets_the_whole_input_also_when_its_module_is_replaced():
    block = nn.Sequential(PlainBlock()).train()
    targets = [dict(module='0', where='shortcut')]
    (site,) = sites = inject(block, targets, layer='Dropout', keep_prob=0.5)
    assert isinstance(site.place.way, OnInput)
    x = torch.randn(2, 4, 8, 8)
    expected = steps(block, x)
    traced = trace(block, sites)
    torch.testing.assert_close(steps(traced, x), expected)
    branch = traced.get_submodule('0')
    branch.conv1 = copy.deepcopy(branch.conv1)  # a conv of whoever replaced it
    seen = []
    branch.conv1.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    torch.testing.assert_close(steps(traced, x), expected)
    assert torch.equal(seen[0][0], x)


def test_other_ways_to_trace_are_told_what_they_lose():
    model, _ = injected()
    with pytest.warns(UserWarning, match=ONCE):
        fx.symbolic_trace(model)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        model.eval()
        fx.symbolic_trace(model)
        model.train()
        model(torch.randn(2, 4, 16, 16))


def test_what_is_no_node_is_refused_and_nothing_changed():
    class Whole(fx.Tracer):
        def is_leaf_module(self, m, module_qualified_name):
            leaf = super().is_leaf_module(m, module_qualified_name)
            return leaf or module_qualified_name == '1'

    model, sites = injected()
    with pytest.raises(ValueError, match='no place in the traced graph'):
        trace(model, sites, Whole())
    with pytest.raises(ValueError, match='not in the model'):
        trace(resnet(), sites)
    model(torch.randn(2, 4, 16, 16))
    assert all(site.layer.seen_units > 0 for site in sites)


def test_modules_stay_in_their_modes():
    """As mmdet's norms do, which are in eval mode while the model is trained."""
    model, sites = injected()
    model[1].bn1.eval()
    model[0].eval()
    modes = {name: module.training for name, module in model.named_modules()}
    x = torch.randn(2, 4, 16, 16)
    expected = steps(model, x)
    traced = trace(model, sites)
    assert {name: modes[name] for name, _ in traced.named_modules()} == {
        name: module.training for name, module in traced.named_modules()
    }
    torch.testing.assert_close(steps(traced, x), expected)


class AsksATensor(BasicBlock):
    def forward(self, x):
        return super().forward(x) if x.requires_grad else x


def test_a_condition_on_a_tensor_is_refused_and_nothing_changed():
    model = nn.Sequential(BasicBlock(4, 8), AsksATensor(8, 8)).train()
    sites = inject_drop_block(model, [dict(module='0')], keep_prob=0.5, block_size=3)
    with pytest.raises(ValueError, match=r'cannot follow Sequential: .* with_cp=True'):
        trace(model, sites)
    assert all(isinstance(each.layer, ScheduledDrop) for each in sites)
    assert len([m for m in model.modules() if isinstance(m, ScheduledDrop)]) == len(
        sites
    )


def test_drop_path_is_a_node_too():
    model = resnet()
    sites = inject(model, TARGETS, layer='DropPath', keep_prob=0.5)
    traced = trace(model, sites)
    found = [m for m in traced.modules() if isinstance(m, DropPath)]
    assert len(found) == len(sites) > 0
