"""What torch.compile makes of it: graphs, kernels and time."""

from __future__ import annotations

import itertools
import logging
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.utils import counters

from dropblock_mm import inject_drop_block
from tools.dev.benchmark import compiled_step, peers
from tools.dev.benchmark.report import Column, Gate, Section, Table, first_line
from tools.dev.benchmark.settings import BLOCK_SIZE, KEEP_PROB, Settings
from tools.dev.benchmark.timing import Call, disturbances, interleave, times

PEER_RATES = 20  # the limit of recompilations is 8
SHAPE = (2, 8, 16, 16)
FUSED = re.compile(r'^\s+(?:cpp_fused\w*|triton_\w+?)(?:\.run)?\(', re.MULTILINE)
LOOP = re.compile(r'for\(int64_t x(\d+)=[^;]*; x\d+<static_cast<int64_t>\((\d+)L\)')
TRITON_SIZE = re.compile(r'^\s+(?:[xy]|r\d*_?)numel = (\d+)', re.MULTILINE)
OTHER = re.compile(
    r'^\s+[^#\n]*?\b(?:extern_kernels|torch\.ops|aten)\.[\w.]+\(', re.MULTILINE
)


class ResidualBlock(nn.Module):
    """Two convolutions with norms and a skip connection, as in a ResNet."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Map Tensor[N, C, H, W] to the same shape."""
        out = torch.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        skip = x if self.downsample is None else self.downsample(x)
        return torch.relu(out + skip)


def attach(block: ResidualBlock, way: peers.Implementation) -> ResidualBlock:
    """Drop after both norms and on the skip connection."""
    if way.ours:
        model = nn.ModuleDict({'block': block})
        target = {'module': 'block', 'block_size': BLOCK_SIZE}
        inject_drop_block(model, [target], keep_prob=KEEP_PROB)
        return block
    for name in ('norm1', 'norm2'):
        layer = way.build(KEEP_PROB, BLOCK_SIZE)
        block.add_module(f'drop_{name}', layer)
        block.get_submodule(name).register_forward_hook(
            lambda _, inputs, out, layer=layer: layer(out)
        )
    block.downsample = way.build(KEEP_PROB, BLOCK_SIZE)
    return block


def run(settings: Settings) -> Section:
    """Count graphs, then kernels where a compiler exists."""
    torch._logging.set_logs(dynamo=logging.ERROR)  # peers reach the limit: known
    others, notes = peers.installed_peers()
    section = Section('compile', 'torch.compile', notes=notes)
    table = Table(
        'Graphs while keep_prob changes with every call (the default limit is 8; then '
        'it runs eagerly)',
        [
            Column('name', 'implementation'),
            Column('rates', 'values of keep_prob', 'd'),
            Column('graphs', 'graphs', 'd'),
            Column('breaks', 'graph breaks', 'd'),
            Column('fullgraph', 'fullgraph=True'),
        ],
    )
    for way in (peers.OURS, peers.DENSE, *others):
        rates = settings.rates if way.ours else PEER_RATES
        table.rows.append(graph_row(way, rates, settings.device))
    section.tables.append(table)
    section.gates = graph_gates(table.rows[0])
    if add_kernels(section, settings) and settings.device == 'cpu':
        compiled_step.add_to(section, settings)
    torch._dynamo.reset()
    return section


def graph_row(way: peers.Implementation, rates: int, device: str) -> dict[str, Any]:
    """Compile a layer and change its rate; count what was compiled."""
    torch._dynamo.reset()
    counters.clear()
    layer = way.build(KEEP_PROB, 3).train().to(device)
    compiled = torch.compile(layer, backend='aot_eager')
    x = torch.randn(SHAPE, device=device, requires_grad=True)
    row: dict[str, Any] = {'name': way.name, 'rates': rates}
    try:
        for number in range(rates):
            peers.set_keep_prob(layer, 1.0 - 0.1 * (number + 1) / rates)
            compiled(x).sum().backward()
    except Exception as error:  # dynamo raises what it likes
        return {**row, 'fullgraph': f'no: {type(error).__name__}'}
    row['graphs'] = counters['stats']['unique_graphs']
    row['breaks'] = sum(counters['graph_break'].values())
    return {**row, 'fullgraph': fullgraph(way, device)}


def fullgraph(way: peers.Implementation, device: str) -> str:
    """Compile a residual block with DropBlock in one graph: 'yes', or why not."""
    torch._dynamo.reset()
    block = attach(ResidualBlock(SHAPE[1]), way).train().to(device)
    compiled = torch.compile(block, fullgraph=True, backend='aot_eager')
    try:
        compiled(torch.randn(SHAPE, device=device)).sum().backward()
    except Exception as error:
        return f'no: {type(error).__name__}'
    return 'yes'


def graph_gates(ours: dict[str, Any]) -> list[Gate]:
    """One graph whatever keep_prob does, and nothing outside of it."""
    name = f'graphs over {ours["rates"]} values of keep_prob'
    whole = float(ours['fullgraph'] == 'yes')
    return [
        Gate(name, ours.get('graphs', math.nan), 1),
        Gate('graph breaks', ours.get('breaks', math.nan), 0),
        Gate('compiles with fullgraph=True (1 is yes)', whole, 1, at_least=True),
    ]


def add_kernels(section: Section, settings: Settings) -> bool:
    """Add what inductor makes of a residual block with DropBlock at three places.

    Returns:
        bool: Whether inductor works here.
    """
    torch._dynamo.reset()
    x = torch.randn(settings.block_shape, device=settings.device)
    table = Table(
        f'A residual block at {"x".join(map(str, x.shape))}, forward and backward, '
        'with DropBlock at three places, by inductor',
        [
            Column('name', 'DropBlock'),
            Column('forward', 'passes over the map, forward', 'd'),
            Column('backward', 'passes over the map, backward', 'd'),
            Column('fused', 'fused kernels', 'd'),
            Column('other', 'other calls', 'd'),
            Column('eager_ms', 'eager, ms', '.3f'),
            Column('compiled_ms', 'compiled, ms', '.3f'),
        ],
    )
    for way in (None, peers.OURS, peers.DENSE, peers.DROPOUT):
        name = way.name if way else 'none'
        try:
            table.rows.append({'name': name, **block_row(way, x)})
        except Exception as error:  # inductor raises what compilers do
            section.notes.append(f'inductor, {name}: {first_line(error)}')
            if way is None:  # then it is no fault of DropBlock's
                section.notes.append('inductor does not work here: skipped')
                return False
    section.gates += pass_gates(*table.rows[:2])
    calls = {
        f'{row["name"]} {how}': row.pop(f'{how}_call')
        for row in table.rows
        for how in ('eager', 'compiled')
    }
    samples = interleave(calls, settings.repeats, settings.device, rotate=True)
    for row in table.rows:
        for how in ('eager', 'compiled'):
            row[f'{how}_ms'] = times(samples[f'{row["name"]} {how}'])
    section.tables.append(table)
    section.notes += disturbances(itertools.chain(*samples.values()))
    return True


def pass_gates(none: Mapping[str, Any], ours: Mapping[str, Any]) -> list[Gate]:
    """No pass over the map but those that a block without DropBlock makes."""
    return [
        Gate(f'passes over the map more than without, {way}', ours[way] - none[way], 0)
        for way in ('forward', 'backward')
    ]


def block_row(way: peers.Implementation | None, x: Tensor) -> dict[str, Any]:
    """Compile a block with or without DropBlock: kernels, and what to time."""
    torch.manual_seed(0)
    block = ResidualBlock(x.shape[1])
    if way is not None:
        block = attach(block, way)
    block.train().to(x.device)
    compiled_call = train(torch.compile(block, fullgraph=True), x)
    return {
        **count_kernels(compiled_call, x.numel()),
        'eager_call': train(block, x),
        'compiled_call': compiled_call,
    }


def train(block: Callable[[Tensor], Tensor], x: Tensor) -> Call:
    """Return a call that runs forward and backward."""
    x = x.detach().clone().requires_grad_()
    grad = torch.randn_like(x)
    return lambda: block(x).backward(grad)


def count_passes(code: str, numel: int) -> int:
    """Count the loops in inductor's code that visit ``numel`` units or more.

    Nested loops are named x0, x1, ... from the outermost; a Triton kernel has its
    sizes as xnumel, ynumel and r0_numel.
    """
    nests: list[int] = []
    path: list[int] = []
    for depth, bound in LOOP.findall(code):
        path = [*path[: int(depth)], int(bound)]
        if depth == '0':
            nests.append(0)
        nests[-1] = max(nests[-1], math.prod(path))
    kernels = [
        math.prod(int(size) for size in TRITON_SIZE.findall(source))
        for source in code.split('@triton.jit')[1:]
    ]
    return sum(size >= numel for size in nests + kernels)


def count_kernels(call: Call, numel: int) -> dict[str, int]:
    """Run a call that compiles, and count the calls in the code that came out.

    Returns:
        dict[str, int]: Kernels that inductor wrote, passes of these over the whole
        map, and calls of ready kernels: convolutions, random numbers, custom
        operators.
    """
    from torch._inductor.utils import run_and_get_code

    _, codes = run_and_get_code(call)
    passes = [count_passes(code, numel) for code in codes]
    return {
        'fused': sum(len(FUSED.findall(code)) for code in codes),
        'forward': passes[0],
        'backward': sum(passes[1:]),
        'other': sum(len(OTHER.findall(code)) for code in codes),
    }
