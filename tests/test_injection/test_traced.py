"""Models that were traced before anything was injected."""

import pytest
import torch
from torch import fx, nn

from dropblock_mm import inject_drop_block
from dropblock_mm.testing.toy_blocks import BasicBlock


def traced():
    return nn.ModuleDict(
        dict(
            graph=fx.symbolic_trace(nn.Sequential(BasicBlock(4, 8))),
            plain=BasicBlock(),
        )
    )


@pytest.mark.parametrize('module', ['graph', 'graph.0', '', r'graph\.0.*'])
def test_a_traced_graph_is_refused_with_what_to_do(module):
    model = traced()
    before = repr(model)
    with pytest.raises(ValueError, match=r'graph is a traced graph .*before tracing'):
        inject_drop_block(model, [dict(module=module)])
    assert repr(model) == before


def test_what_stands_beside_a_traced_graph_is_served():
    assert len(inject_drop_block(traced(), [dict(module='plain')])) == 3


def test_a_model_that_is_a_graph_is_refused():
    with pytest.raises(ValueError, match=r'the model is a traced graph'):
        inject_drop_block(fx.symbolic_trace(BasicBlock()), [dict(module='')])


def test_a_compiled_model_is_no_traced_graph():
    model = torch.compile(BasicBlock(), backend='eager')
    assert len(inject_drop_block(model, [dict(module='')])) == 3
