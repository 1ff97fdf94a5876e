"""Graphs, kernels and passes, counted in generated code."""

import pytest
import torch

CODE = """
cpp_fused_add_0 = async_compile.cpp_pybinding(['float*'], r'''
void kernel(float* x) { call(x); }
''')
def call(self, args):
    cpp_fused_add_0(primals_1, buf0)
    # Topologically Sorted Source Nodes: aten.convolution(x)
    buf2 = extern_kernels.convolution(buf1, buf0, stride=(1, 1))
    assert_size_stride(buf2, (2, 16), 'torch.ops.aten.convolution.default')
    aten.randint.low_out(-9, 9, [1], out=buf7)
    buf3 = torch.ops.library.operator.default(buf2)
    triton_poi_fused_relu_1.run(buf3, 4, stream=stream0)
"""


def test_calls_in_generated_code_are_counted(part):
    compiled = part('compiled')
    assert len(compiled.FUSED.findall(CODE)) == 2
    assert len(compiled.OTHER.findall(CODE)) == 3


def test_counts_the_loops_over_the_whole_map(part):
    def loop(depth, bound):
        start = f'for(int64_t x{depth}=static_cast<int64_t>(0L); '
        return f'{start}x{depth}<static_cast<int64_t>({bound}L); x{depth}+=1)\n'

    nests = [
        loop(0, 100),
        loop(0, 10) + loop(1, 10) + loop(2, 4) + loop(2, 5) + loop(1, 3),
        loop(0, 8) + loop(1, 2) + loop(1, 7),  # one after the other: 56
    ]
    kernel = '@triton.jit\ndef triton_(xnumel):\n    xnumel = {}\n    r0_numel = 10\n'
    code = ''.join(nests) + kernel.format(9) + kernel.format(10)
    assert part('compiled').count_passes(code, 100) == 3
    assert part('compiled').count_passes(code, 500) == 1


def test_gates(part):
    gates = part('compiled').graph_gates
    one = dict(name='ours', rates=200, graphs=1, breaks=0, fullgraph='yes')
    assert all(gate.passed for gate in gates(one))
    many = dict(one, graphs=8, breaks=1, fullgraph='no: Unsupported')
    assert not any(gate.passed for gate in gates(many))
    raised = dict(name='ours', rates=200, fullgraph='no: Unsupported')
    assert not any(gate.passed for gate in gates(raised))


@pytest.mark.parametrize('name', ['OURS', 'DENSE'])
def test_the_block_drops_at_three_places(part, name):
    compiled, way = part('compiled'), getattr(part('peers'), name)
    block = compiled.attach(compiled.ResidualBlock(4), way).train()
    calls = []
    for module in block.modules():
        if type(module).__name__ in ('DropBlock2d', 'FunctionLayer'):
            module.register_forward_hook(lambda *_: calls.append(1))
    block(torch.randn(2, 4, 16, 16))
    assert len(calls) == 3


def test_no_pass_of_its_own(part):
    """Inductor applies masks where it goes over the maps anyway, backward too."""
    compiled = part('compiled')
    x = torch.randn(2, 16, 16, 16)
    rows = [compiled.block_row(way, x) for way in (None, part('peers').OURS)]
    gates = compiled.pass_gates(*rows)
    assert [(gate.value, gate.passed) for gate in gates] == [(0, True)] * 2
    more = {**rows[1], 'backward': rows[1]['backward'] + 1}
    assert not compiled.pass_gates(rows[0], more)[1].passed
