"""The benchmark: what it measures with, what it decides, and what it writes."""

import importlib
import json
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from dropblock_mm import expected_keep_rate
from dropblock_mm.ops.reference import reference_drop_block

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'tools' / 'analysis_tools'
SCRIPT = FOLDER / 'benchmark_drop_block.py'
PAGE = ROOT / 'docs' / 'en' / 'benchmark.md'
FAST = ('op', 'block_size', 'scaling', 'keep_rate', 'cuda')
MIB = 2**20


@pytest.fixture
def part(monkeypatch):
    """Gives a part of the tool, e.g. part('timing'), as the script sees it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return lambda name: importlib.import_module(f'benchmark.{name}')


@pytest.fixture
def tool(monkeypatch):
    """The script as a module."""
    for name in ('KINETO_LOG_LEVEL', 'TORCH_CPP_LOG_LEVEL'):  # which it sets
        monkeypatch.setenv(name, os.environ.get(name, 'ERROR'))
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module('benchmark_drop_block')


def run_script(*words):
    command = [sys.executable, str(SCRIPT), '--threads', '1', *map(str, words)]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


class TestPeers:
    @pytest.mark.parametrize(('block_size', 'size'), [(1, 9), (3, 12), (7, 20), (9, 9)])
    def test_dense_algorithm_is_the_oracle_with_its_seeds(self, part, block_size, size):
        x, grid = torch.randn(2, 3, size, size + 4), (size, size + 4)
        rows, columns = (length - block_size + 1 for length in grid)
        gamma = 0.3 * math.prod(grid) / (block_size**2 * rows * columns)
        torch.manual_seed(1)
        out = part('peers').dense_drop_block(x, 0.3, block_size)
        torch.manual_seed(1)
        seeds = torch.empty(2, 3, rows, columns).bernoulli_(gamma).bool()
        expected = reference_drop_block(x, seeds, block_size)
        torch.testing.assert_close(out.double(), expected, rtol=1e-5, atol=0)

    def test_dense_algorithm_reaches_the_exact_rate(self, part):
        torch.manual_seed(0)
        ones = torch.ones(400, 1, 20, 20)
        kept = part('peers').dense_drop_block(ones, 0.2, 5) != 0
        rates = kept.double().mean(dim=(1, 2, 3))
        error = rates.std() / math.sqrt(len(rates))
        expected = expected_keep_rate(0.8, 5, (20, 20))
        assert abs(rates.mean() - expected) < 5 * error

    def test_dense_algorithm_refuses_even_blocks(self, part):
        with pytest.raises(ValueError, match='block_size=4 is even'):
            part('peers').dense_drop_block(torch.ones(1, 1, 9, 9), 0.1, 4)

    def test_dense_algorithm_is_torchvisions(self, part):
        try:
            from torchvision.ops import drop_block2d
        except (ImportError, RuntimeError) as error:
            pytest.skip(f'torchvision cannot be imported: {error}')
        x = torch.randn(2, 3, 20, 24)
        torch.manual_seed(3)
        out = part('peers').dense_drop_block(x, 0.2, 7)
        torch.manual_seed(3)
        assert torch.equal(out, drop_block2d(x, 0.2, 7))

    def test_every_implementation_drops_and_takes_another_rate(self, part):
        peers = part('peers')
        ways = [peers.OURS, peers.OURS_SHARED, peers.OUR_FUNCTION, peers.DENSE]
        for way in ways + peers.installed_peers()[0]:
            torch.manual_seed(0)
            layer, x = way.build(0.8, 3).train(), torch.ones(8, 4, 16, 16)
            some = (layer(x) == 0).float().mean()
            assert 0.1 < some < 0.3, way.name
            peers.set_keep_prob(layer, 0.4)
            assert (layer(x) == 0).float().mean() > some + 0.1, way.name
            shared = (layer(x) == 0).float().std(dim=1).max() == 0
            assert shared == way.shared, way.name

    def test_absent_and_broken_peers_are_skipped_with_a_line(self, part, monkeypatch):
        peers = part('peers')

        def absent():
            raise ModuleNotFoundError("No module named 'timm'", name='timm')

        def lacks_a_need():
            raise ModuleNotFoundError("No module named 'yaml'", name='yaml')

        def broken():
            raise RuntimeError('operator torchvision::nms does not exist\nand more')

        loaders = {'timm': absent, 'other': lacks_a_need, 'torchvision': broken}
        monkeypatch.setattr(peers, '_PEERS', loaders)
        assert peers.installed_peers() == (
            [],
            [
                'timm: not installed, skipped',
                'other: cannot be imported (ModuleNotFoundError: No module named '
                "'yaml'), skipped",
                'torchvision: cannot be imported (RuntimeError: operator '
                'torchvision::nms does not exist), skipped',
            ],
        )


class TestTiming:
    def test_calls_take_turns(self, part):
        timing, said = part('timing'), []
        calls = {name: lambda name=name: said.append(name) for name in 'abc'}
        samples = timing.interleave(calls, 2)
        assert ''.join(said) == 'abc' * (timing.WARM_UP + 2)
        assert {name: len(found) for name, found in samples.items()} == dict(
            a=2, b=2, c=2
        )

    def test_rotated_calls_each_come_first(self, part):
        timing, said = part('timing'), []
        calls = {name: lambda name=name: said.append(name) for name in 'abc'}
        timing.interleave(calls, 3, rotate=True)
        assert ''.join(said[-9:]) in 'abcbcacababcbcacab'

    def test_ratios_are_within_each_round(self, part):
        timing = part('timing')
        above = [timing.Sample(ms) for ms in (10, 40, 90)]
        below = [timing.Sample(ms) for ms in (10, 20, 30)]
        ratios = timing.ratios(above, below)
        assert (ratios.median, ratios.low, ratios.high) == (2, 1.5, 2.5)

    def test_disturbances_are_counted_and_a_busy_machine_is_called_so(self, part):
        timing = part('timing')
        calm = [timing.Sample(500.0, 300, 5), timing.Sample(500.0, 2, 15)]
        assert timing.disturbances(calm) == [
            '1 of 2 samples waited for 256 or more pages of memory',
            'other processes interrupted the calls 20 times a second',
        ]
        busy = [timing.Sample(500.0, 0, 100)]
        assert timing.disturbances(busy)[1].endswith('the times')
        assert 'BUSY' in timing.disturbances(busy)[1]

    def test_a_call_runs_forward_and_backward(self, part):
        x = torch.ones(1, 1, 4, 4, requires_grad=True)
        call = part('timing').forward_backward(
            lambda x: 3 * x, x, torch.ones(1, 1, 4, 4)
        )
        (grad,) = call()
        assert torch.equal(grad, torch.full((1, 1, 4, 4), 3.0))
        assert x.grad is None


class TestReport:
    @pytest.mark.parametrize(
        ('value', 'options', 'verdict'),
        [
            (18.0, dict(limit=18, at_least=True), 'PASS'),
            (17.9, dict(limit=18, at_least=True), 'FAIL'),
            (2.0, dict(limit=2), 'PASS'),
            (2.1, dict(limit=2), 'FAIL'),
            (math.nan, dict(limit=2), 'FAIL'),
            (math.nan, dict(limit=2, at_least=True), 'FAIL'),
            (24.0, dict(limit=25, at_least=True, aim=True), 'aim missed'),
            (26.0, dict(limit=25, at_least=True, aim=True), 'aim reached'),
        ],
    )
    def test_verdicts(self, part, value, options, verdict):
        assert part('report').Gate('speed', value, **options).verdict == verdict

    def test_a_failed_gate_fails_the_check_and_a_missed_aim_does_not(self, part):
        report = part('report')
        good = report.Section('op', 'Op', gates=[report.Gate('a', 1.0, 2.0)])
        aim = report.Section('op', 'Op', gates=[report.Gate('b', 3.0, 2.0, aim=True)])
        bad = report.Section('op', 'Op', gates=[report.Gate('c', 3.0, 2.0)])
        assert report.is_good([good, aim])
        assert not report.is_good([good, bad])
        assert not report.is_good([aim]), 'nothing was held to a limit'
        assert report.summary([good, bad]) == (
            '1 of 2 gates passed.\nFAIL c | 3 | <= 2'
        )

    def test_a_table_in_markdown(self, part):
        report = part('report')
        table = report.Table(
            'Times',
            [report.Column('name', 'who'), report.Column('ms', 'ms', '.1f')],
            [
                dict(name='a', ms=report.Spread(2.0, 1.0, 3.0, 5)),
                dict(name='b', ms=report.Mean(4.0, 0.5)),
                dict(name='c'),
            ],
        )
        assert table.markdown() == (
            'Times:\n\n'
            '| who | ms               |\n'
            '| --- | ---------------- |\n'
            '| a   | 2.0 (1.0 to 3.0) |\n'
            '| b   | 4.0 ± 0.5        |\n'
            '| c   |                  |'
        )

    def test_a_section_that_was_not_run_says_why(self, part):
        section = part('report').Section('cuda', 'GPU', not_run='no CUDA device')
        assert section.markdown() == '### GPU\n\nnot run: no CUDA device'

    @pytest.mark.parametrize(
        ('values', 'expected'),
        [([3.0], (3, 3, 3)), ([1, 2, 9], (1.5, 2, 5.5)), ([5, 1, 4, 2, 3], (2, 3, 4))],
    )
    def test_a_spread_is_the_median_and_the_quartiles(self, part, values, expected):
        spread = part('report').Spread.of(values)
        assert (spread.low, spread.median, spread.high) == expected
        assert spread.samples == len(values)

    def test_json_has_no_nan_and_says_who_passed(self, part):
        report = part('report')
        gate = report.jsonable(report.Gate('a', math.nan, 2.0))
        assert gate['value'] is None
        assert (gate['passed'], gate['verdict']) == (False, 'FAIL')
        assert report.jsonable(dict(a=(1, torch.float32))) == dict(
            a=[1, 'torch.float32']
        )


def op_rows(part, dense, constant, units=3_000_000):
    """Made-up rows of the op's table, one input for each ratio."""
    spread, peers = part('report').Spread, part('peers')
    return [
        dict(
            case=f'case {number}',
            units=units,
            peer=peer.name,
            against=peers.OURS.name,
            ratio=spread(ratio, ratio / 1.1, ratio * 1.1, 9),
            verdict=part('op').verdict(ratio),
        )
        for peer, found in ((peers.DENSE, dense), (peers.TIMES_CONSTANT, constant))
        for number, ratio in enumerate(found)
    ]


class TestOp:
    def verdicts(self, part, *ratios, device='cpu', **options):
        settings = part('settings').Settings(device)
        gates = part('op').gates(op_rows(part, *ratios, **options), settings)
        return [gate.verdict for gate in gates]

    def test_gates_on_the_cpu(self, part):
        fast = self.verdicts(part, [30, 26, 24, 20], [0.8, 0.7, 0.9, 0.9])
        assert fast == ['PASS'] * 5 + ['aim reached'] * 5
        slow = self.verdicts(part, [30, 17, 17, 11], [0.8, 0.6, 0.9, 0.9])
        assert slow[:5] == ['FAIL', 'PASS', 'PASS', 'PASS', 'FAIL']
        assert slow[5:] == [
            'aim missed',
            'aim reached',
            'aim missed',
            *['aim reached'] * 2,
        ]

    def test_only_large_inputs_aim_at_the_cost_of_a_product(self, part):
        verdicts = self.verdicts(part, [30], [0.1], units=1_000_000)
        assert verdicts == ['PASS', 'PASS', 'aim reached']

    def test_gates_on_a_gpu(self, part):
        verdicts = self.verdicts(part, [7, 5], [0.9, 0.7], device='cuda')
        assert verdicts == ['PASS', 'FAIL', 'PASS', 'FAIL']

    def test_losses_are_said(self, part):
        op = part('op')
        assert op.verdict(4.0) == '4.0x faster'
        assert op.verdict(0.25) == '4.0x SLOWER'
        assert op.verdict(0.98) == '1.02x SLOWER'
        assert op.losses(op_rows(part, [20.0, 0.5], [0.25, 1.5])) == [
            'dropblock_mm is slower than dense algorithm: 2.0x at case 1',
            'dropblock_mm is slower than x * c: 4.0x at case 0',
        ]

    def test_shared_masks_are_held_against_ours_of_both_kinds(self, part):
        peers = part('peers')
        other = peers.of_function('other', peers.dense_drop_block, shared=True)
        against = [b for a, b in part('op').pairings([other]) if a is other]
        assert against == [peers.OURS, peers.OURS_SHARED]


class TestGrowth:
    @pytest.mark.parametrize('power', [0.5, 1.0, 2.0])
    def test_exponent_of_a_known_growth(self, part, power):
        sizes = [10, 20, 40, 80]
        values = [3.0 * size**power for size in sizes]
        assert part('growth').exponent(sizes, values) == pytest.approx(power)


class Keeps(torch.autograd.Function):
    """Saves half a MiB the official way, and hides a quarter in ``ctx``."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(torch.zeros(MIB // 8), torch.zeros(3)[1:])
        ctx.hidden = torch.zeros(MIB // 16)
        torch.zeros(MIB)  # comes and goes
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


class TestMemory:
    def test_saved_and_held_bytes_of_a_known_function(self, part):
        memory = part('memory')
        x = torch.zeros(1, 1, 64, 64, requires_grad=True)
        assert memory.saved_bytes(Keeps.apply, x) == MIB // 2 + 12
        assert memory.held_bytes(Keeps.apply, x) == MIB * 3 // 4 + 12

    def test_a_storage_saved_twice_counts_once(self, part):
        x = torch.zeros(1, 1, 64, 64, requires_grad=True)
        saved = part('memory').saved_bytes(lambda x: x * x, x)
        assert saved == 64 * 64 * 4

    def test_peak_of_known_allocations(self, part):
        def call():
            first = torch.zeros(MIB)
            second = torch.zeros(MIB // 2)
            del first
            return second + 1

        peaks = {part('memory').peak_bytes(call, 'cpu') for _ in range(3)}
        assert peaks == {6 * MIB}

    def test_peaks_of_tiny_models_and_their_gate(self, part):
        memory, models = part('memory'), part('models')
        x = torch.randn(4, 8)

        def step(width):
            model = nn.Linear(8, width)
            return lambda: model(x).sum().backward()

        steps = {models.PLAIN: step(1000), models.OURS: step(1005), 'other': step(2000)}
        table, gate = memory.peaks(steps, 'cpu')
        changes = [row['change'] for row in table.rows]
        assert changes[0] == 0
        assert 0 < changes[1] < 1 < changes[2]
        assert gate.passed
        steps[models.OURS] = step(1100)
        assert not memory.peaks(steps, 'cpu')[1].passed

    def test_shares_of_a_dense_mask_are_the_whole_input(self, part):
        memory, peers = part('memory'), part('peers')
        settings = part('settings').make_settings('cpu', quick=True, repeats=None)
        for measure in (memory.saved_bytes, memory.held_bytes):
            dense = memory.share_row(peers.DENSE, measure, settings)
            ours = memory.share_row(peers.OURS, measure, settings)
            assert set(dense) == set(ours)
            for key, share in ours.items():
                if key != 'name':
                    assert dense[key] == pytest.approx(100, abs=0.1)
                    assert share < 50

    def test_the_largest_share_is_held_to_the_gate(self, part):
        memory, report, peers = part('memory'), part('report'), part('peers')
        rows = [dict(name=peers.OURS.name, a=0.5, b=1.9), dict(name='other', a=100.0)]
        gate = memory.share_gate(report.Table('', [], rows), 'saved')
        assert (gate.value, gate.passed) == (1.9, True)
        rows[0]['b'] = 2.1
        assert not memory.share_gate(report.Table('', [], rows), 'saved').passed


class TestTrainingStep:
    def test_what_is_added_is_measured_within_rounds(self, part):
        sample = part('timing').Sample
        plain = [sample(ms) for ms in (100, 200, 300)]
        measured = [sample(ms) for ms in (104, 206, 310)]
        assert part('training_step').added(measured, plain).median == 3.0

    @pytest.mark.parametrize(('device', 'limit'), [('cpu', 3.0), ('cuda', 1.5)])
    def test_table_and_gate(self, part, device, limit):
        module, models = part('training_step'), part('models')
        sample = part('timing').Sample
        found = {
            models.PLAIN: [sample(100)],
            models.OURS: [sample(102)],
            models.PLUGIN: [sample(90)],
        }
        table, gate = module.compare(found, device)
        assert [row['name'] for row in table.rows] == list(found)
        assert table.rows[0]['added'] is None
        assert table.rows[2]['added'].median == -10
        assert (gate.value, gate.limit, gate.passed) == (2, limit, device == 'cpu')

    def test_without_mmdet_it_is_not_run(self, part, monkeypatch):
        module, models = part('training_step'), part('models')
        monkeypatch.setattr(models, 'has_mmdet', lambda: False)
        section = module.run(part('settings').Settings())
        assert section.not_run == 'mmdet is not installed'

    def test_other_numbers_of_sites_are_an_error(self, part):
        with pytest.raises(RuntimeError, match='found 35 sites of ours'):
            part('models').check_sites(35, 27)


class TestKeepRate:
    def test_distance_from_the_expectation_is_held_to_the_gate(self, part):
        module, mean = part('keep_rate'), part('report').Mean
        exact = dict(name='exact', a=0.9, b=0.5)
        near = dict(name='ours', a=mean(0.901, 0.001), b=mean(0.496, 0.001))
        far = dict(name='ours', a=mean(0.901, 0.001), b=mean(0.494, 0.001))
        assert module.gate(exact, near).value == pytest.approx(4)
        assert module.gate(exact, near).passed
        assert not module.gate(exact, far).passed

    def test_what_a_peer_refuses_is_named(self, part):
        settings = part('settings').make_settings('cpu', quick=True, repeats=None)
        case = (0.9, 4, (20, 20))
        rate = part('keep_rate').keep_rate(part('peers').DENSE, case, settings, 2)
        assert rate == 'ValueError'


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


class TestCompiled:
    def test_calls_in_generated_code_are_counted(self, part):
        compiled = part('compiled')
        assert len(compiled.FUSED.findall(CODE)) == 2
        assert len(compiled.OTHER.findall(CODE)) == 3

    def test_counts_the_loops_over_the_whole_map(self, part):
        def loop(depth, bound):
            start = f'for(int64_t x{depth}=static_cast<int64_t>(0L); '
            return f'{start}x{depth}<static_cast<int64_t>({bound}L); x{depth}+=1)\n'

        nests = [
            loop(0, 100),
            loop(0, 10) + loop(1, 10) + loop(2, 4) + loop(2, 5) + loop(1, 3),
            loop(0, 8) + loop(1, 2) + loop(1, 7),  # one after the other: 56
        ]
        kernel = (
            '@triton.jit\ndef triton_(xnumel):\n    xnumel = {}\n    r0_numel = 10\n'
        )
        code = ''.join(nests) + kernel.format(9) + kernel.format(10)
        assert part('compiled').count_passes(code, 100) == 3
        assert part('compiled').count_passes(code, 500) == 1

    def test_gates(self, part):
        gates = part('compiled').graph_gates
        one = dict(name='ours', rates=200, graphs=1, breaks=0, fullgraph='yes')
        assert all(gate.passed for gate in gates(one))
        many = dict(one, graphs=8, breaks=1, fullgraph='no: Unsupported')
        assert not any(gate.passed for gate in gates(many))
        raised = dict(name='ours', rates=200, fullgraph='no: Unsupported')
        assert not any(gate.passed for gate in gates(raised))

    @pytest.mark.parametrize('name', ['OURS', 'DENSE'])
    def test_the_block_drops_at_three_places(self, part, name):
        compiled, way = part('compiled'), getattr(part('peers'), name)
        block = compiled.attach(compiled.ResidualBlock(4), way).train()
        calls = []
        for module in block.modules():
            if type(module).__name__ in ('DropBlock2d', 'FunctionLayer'):
                module.register_forward_hook(lambda *_: calls.append(1))
        block(torch.randn(2, 4, 16, 16))
        assert len(calls) == 3


class TestCuda:
    def test_waiting_for_the_gpu_fails_its_gate(self, part, monkeypatch):
        module, peers, settings = part('cuda'), part('peers'), part('settings')
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
        for answer, passed in (('no', True), ('yes: called a synchronizing', False)):
            monkeypatch.setattr(
                module,
                'kernel_row',
                lambda way, case, answer=answer: dict(name=way.name, waits=answer),
            )
            section = module.run(settings.make_settings('cuda', quick=True, repeats=1))
            assert {row['name'] for row in section.tables[0].rows} > {peers.OURS.name}
            assert [gate.passed for gate in section.gates] == [passed]

    def test_a_gpu_is_measured_only_if_asked_for(self, part, monkeypatch):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
        section = part('cuda').run(part('settings').Settings('cpu'))
        assert section.not_run == 'give --device cuda'

    def test_inputs_of_three_sizes_in_every_format(self, part):
        cases = part('settings').CUDA_CASES
        assert len({str(case) for case in cases}) == len(cases)
        units = {math.prod(case.shape) for case in cases}
        assert min(units) > 3_000_000
        assert max(units) > 50_000_000
        last = next(case.tensor('cpu') for case in cases if case.channels_last)
        assert last.is_contiguous(memory_format=torch.channels_last)


class TestPage:
    def test_results_replace_what_is_between_the_markers(self, part, tmp_path):
        page, path = part('page'), tmp_path / 'page.md'
        path.write_text(f'above\n{page.BEGIN}\nold\n{page.END}\nbelow\n')
        page.check(path)
        page.replace(path, 'new')
        assert path.read_text() == (
            f'above\n{page.BEGIN}\n\nnew\n\n{page.END}\nbelow\n'
        )

    @pytest.mark.parametrize('text', ['', '{end} {begin}', '{begin}', '{begin}' * 2])
    def test_a_page_without_markers_is_refused(self, part, tmp_path, text):
        page, path = part('page'), tmp_path / 'page.md'
        path.write_text(text.format(begin=page.BEGIN, end=page.END))
        with pytest.raises(ValueError, match=r'--docs .*page\.md is no page'):
            page.check(path)

    def test_the_committed_page_has_a_whole_run(self, part):
        page = part('page')
        page.check(PAGE)
        results = PAGE.read_text().partition(page.BEGIN)[2].partition(page.END)[0]
        titles = re.findall(r'^### (.+)$', results, re.MULTILINE)
        assert titles == [
            'The op on the CPU',
            'Block sizes',
            'Number of units',
            'Memory',
            'Training step of RetinaNet-R50-FPN',
            'Effective keep rate',
            'torch.compile',
            'Kernels on a GPU',
        ]
        assert 'a quick run' not in results
        assert (PAGE.parent / page.PICTURE).is_file()

    def test_verdicts_on_the_committed_page_are_those_of_its_numbers(self, part):
        line = r'^\| (PASS|FAIL|aim \w+) *\| (.+?) *\| (\S+) *\| ([<>]=) (\S+) *\|$'
        found = re.findall(line, PAGE.read_text(), re.MULTILINE)
        assert len(found) > 10
        for verdict, name, value, sign, limit in found:
            is_aim = verdict.startswith('aim')
            numbers = (float(value), float(limit))
            gate = part('report').Gate(name, *numbers, sign == '>=', is_aim)
            assert gate.verdict == verdict, name

    def test_commands_on_the_page_have_arguments_that_exist(self, tool):
        commands = re.findall(r"^make bench ARGS='(.+?)'", PAGE.read_text(), re.M)
        assert len(commands) > 1
        for words in commands:
            tool.parse_args(shlex.split(words))


class TestCommand:
    def test_a_quick_run_measures_prints_and_saves(self, tmp_path):
        out = tmp_path / 'new' / 'result.json'
        done = run_script('--quick', '--only', *FAST, '--out', out)
        assert done.returncode == 0, done.stderr
        assert 'whose figures mean nothing' in done.stdout
        assert 'not run: ' in done.stdout
        assert 'x * c' in done.stdout
        found = json.loads(out.read_text())
        assert set(found) == {
            'schema', 'arguments', 'settings', 'environment', 'sections'
        }  # fmt: skip
        assert [section['name'] for section in found['sections']] == list(FAST)
        for section in found['sections']:
            for table in section['tables']:
                keys = {column['key'] for column in table['columns']}
                assert table['rows']
                assert all(keys >= set(row) - {'units'} for row in table['rows'])
            for gate in section['gates']:
                assert {'name', 'value', 'limit', 'passed', 'verdict'} <= set(gate)
                assert f'| {gate["name"]} ' in done.stdout
        with Image.open(out.with_suffix('.png')) as image:
            assert min(image.size) > 300

    @pytest.mark.slow
    def test_the_sections_that_take_longer_run_too(self, tmp_path):
        pytest.importorskip('mmdet')
        out, names = tmp_path / 'result.json', ('memory', 'training_step', 'compile')
        done = run_script('--quick', '--only', *names, '--out', out)
        assert done.returncode == 0, done.stderr
        sections = json.loads(out.read_text())['sections']
        assert [section['name'] for section in sections] == list(names)
        assert [bool(section['gates']) for section in sections] == [True] * 3
        assert 'no figure: it needs the section op' in done.stdout

    def test_check_fails_where_a_gate_fails(self, tool, part, tmp_path, monkeypatch):
        report = part('report')
        for value, status in ((1.0, None), (3.0, 1)):
            gates = [report.Gate('a', value, 2.0)]
            section = report.Section('keep_rate', 'Keep rate', gates=gates)
            monkeypatch.setitem(
                tool.SECTIONS, 'keep_rate', lambda _, section=section: section
            )
            words = ['--only', 'keep_rate', '--out', str(tmp_path / 'a.json')]
            words += ['--allocator', 'system', '--threads', '1']
            tool.main(words)  # without --check it is no failure
            stopped = None
            try:
                tool.main([*words, '--check'])
            except SystemExit as stop:
                stopped = stop.code
            assert stopped == status

    @pytest.mark.skipif(torch.cuda.is_available(), reason='a CUDA device is here')
    def test_without_a_gpu_nothing_runs_there_and_nothing_is_checked(
        self, tool, tmp_path, capsys
    ):
        words = ['--device', 'cuda', '--out', str(tmp_path / 'a.json'), '--check']
        with pytest.raises(SystemExit) as stop:
            tool.main([*words, '--allocator', 'system', '--threads', '1'])
        assert stop.value.code == 1
        said = capsys.readouterr().out
        assert said.count('not run: no CUDA device') == 2 * len(tool.SECTIONS)
        sections = json.loads((tmp_path / 'a.json').read_text())['sections']
        assert {section['not_run'] for section in sections} == {'no CUDA device'}

    @pytest.mark.parametrize(
        ('words', 'message'),
        [
            (['--only', 'opp'], "invalid choice: 'opp'"),
            (['--threads', '0'], "'0' is not a whole number above 0"),
            (['--repeats', 'many'], "'many' is not a whole number above 0"),
            (['--quick', '--docs'], '--docs with --quick'),
        ],
    )
    def test_wrong_arguments_are_one_message(self, tool, capsys, words, message):
        with pytest.raises(SystemExit) as stop:
            tool.parse_args(words)
        assert stop.value.code == 2
        assert message in capsys.readouterr().err

    def test_a_page_without_markers_stops_it_before_it_measures(self, tmp_path):
        page = tmp_path / 'page.md'
        page.write_text('no markers')
        done = run_script('--docs', page, '--out', tmp_path / 'a.json')
        assert done.returncode == 1
        assert done.stderr.startswith(f'benchmark_drop_block: --docs {page} is no page')
        assert done.stdout == ''


class TestFigure:
    def test_losses_are_as_visible_as_wins(self, part):
        figure = part('figure')
        drawn = figure.draw(op_rows(part, [16.0, 4.0], [1 / 16, 1.0]), 'a machine')
        assert [axes.get_title() for axes in drawn.axes] == ['case 0', 'case 1']
        bars = drawn.axes[0].patches
        widths = [abs(math.log(bar.get_x() + bar.get_width())) for bar in bars]
        assert widths[0] == pytest.approx(widths[1]), 'on a logarithmic scale'
        colors = [bar.get_facecolor() for bar in bars]
        assert colors[0] != colors[1]
        labels = [text.get_text() for text in drawn.axes[0].texts]
        assert labels == ['16', '0.06']

    def test_ratios_have_as_many_digits_as_they_deserve(self, part):
        number = part('figure').number
        assert [number(r) for r in (0.314, 1.234, 5.26, 14.7)] == [
            '0.31',
            '1.23',
            '5.3',
            '15',
        ]


def test_the_machine_is_described(part):
    found = part('machine').describe('cpu', 'as it is')
    assert found['torch'] == torch.__version__
    assert found['threads'] == str(torch.get_num_threads())
    assert found['allocator'] == 'as it is'
    assert all(isinstance(value, str) for value in found.values())
