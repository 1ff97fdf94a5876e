"""What is kept for the backward pass, and the peak of a training step."""

from __future__ import annotations

import gc
import itertools
import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from tools.dev.benchmark import models, peers
from tools.dev.benchmark.report import Column, Gate, Section, Table
from tools.dev.benchmark.settings import KEEP_PROB, Settings
from tools.dev.benchmark.timing import Call

BLOCK_SIZES = (1, 3, 7)
DTYPES = {'fp32': torch.float32, 'bf16': torch.bfloat16}
SHARE_GATE, PEAK_GATE = 2.0, 1.0  # per cent


def run(settings: Settings) -> Section:
    """Measure the op, and RetinaNet's training step where mmdet is installed."""
    others, notes = peers.installed_peers()
    ways = [peers.OURS, peers.DENSE, *others, peers.DROPOUT, peers.TIMES_CONSTANT]
    case = settings.map_case
    saved, held = (
        Table(f'{what}, in % of the bytes of the input ({case})', share_columns())
        for what in (
            'Saved for backward, by `saved_tensors_hooks`',
            'Allocated in forward and still held, without the output, by the allocator',
        )
    )
    for way in ways:
        for table, measure in ((saved, saved_bytes), (held, held_bytes)):
            table.rows.append(share_row(way, measure, settings))
    section = Section('memory', 'Memory', [saved, held])
    section.gates = [share_gate(saved, 'saved'), share_gate(held, 'held')]
    section.notes = notes
    if not models.has_mmdet():
        section.notes.append('peak of a training step: mmdet is not installed, skipped')
        return section
    steps = models.training_steps(settings, settings.peak_image_size)
    table, gate = peaks(steps, settings.device)
    section.tables.append(table)
    section.gates.append(gate)
    return section


def share_columns() -> list[Column]:
    """One column for each block size and dtype."""
    return [Column('name', 'implementation')] + [
        Column(share_key(size, name), f'block {size}, {name}', '.2f')
        for name in DTYPES
        for size in BLOCK_SIZES
    ]


def share_key(block_size: int, dtype: str) -> str:
    """Return the key of a share in a row."""
    return f'block_{block_size}_{dtype}'


def share_row(
    way: peers.Implementation,
    measure: Callable[[nn.Module, Tensor], int],
    settings: Settings,
) -> dict[str, Any]:
    """Measure one implementation with every block size and dtype."""
    row: dict[str, Any] = {'name': way.name}
    for name, dtype in DTYPES.items():
        for size in BLOCK_SIZES:
            layer = way.build(KEEP_PROB, size).train().to(settings.device)
            x = settings.map_case.tensor(settings.device).to(dtype).requires_grad_()
            layer(x)  # what a first call sets up is not counted
            share = measure(layer, x) / (x.numel() * x.element_size())
            row[share_key(size, name)] = 100.0 * share
    return row


def share_gate(table: Table, verb: str) -> Gate:
    """Hold the largest share of ours to its limit."""
    (ours,) = (row for row in table.rows if row['name'] == peers.OURS.name)
    largest = max(value for value in ours.values() if not isinstance(value, str))
    return Gate(f'largest share {verb} by ours, %', largest, SHARE_GATE)


def saved_bytes(op: Callable[[Tensor], Tensor], x: Tensor) -> int:
    """Return the bytes that autograd saves; a storage saved twice counts once."""
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        kept.append(tensor)  # else another may get its address
        return tensor

    kept: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        op(x)
    return sum(storages.values())


def held_bytes(op: Callable[[Tensor], Tensor], x: Tensor) -> int:
    """Return the bytes allocated by forward and not freed, without the output.

    It sees what hooks do not: tensors that an autograd function keeps by itself.
    """
    if x.is_cuda:
        before = torch.cuda.memory_allocated()
        out = op(x)
        held = torch.cuda.memory_allocated() - before
    else:
        results: list[Tensor] = []
        held = allocations(lambda: results.append(op(x)))[-1]
        out = results[0]
    return held - out.untyped_storage().nbytes()


def peak_bytes(call: Call, device: str) -> int:
    """Return the most bytes that tensors take at once during a call.

    On the CPU the profiler reports every allocation that goes through torch's
    allocator, so the figure is exact and the same every time, but leaves out what
    libraries such as oneDNN allocate for themselves, and what was there before. The
    second of two calls counts: the profiler cannot see the release of what was
    allocated while it was not looking.
    """
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated()
    allocations(call)
    return max(allocations(call))


def allocations(call: Call) -> list[int]:
    """Return how many bytes are allocated after each allocation and release."""
    gc.collect()  # what earlier calls left is not released during this one
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        result = call()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'trace.json'
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text())['traceEvents']
    del result
    found = [event for event in events if event.get('name') == '[memory]']
    found.sort(key=lambda event: event['ts'])
    changes = (event['args']['Bytes'] for event in found)
    return list(itertools.accumulate(changes, initial=0))


def peaks(steps: Mapping[str, Call], device: str) -> tuple[Table, Gate]:
    """Measure the peaks of training steps; the first one is the plain model's."""
    table = Table(
        'Peak memory of one training step'
        + (' above parameters and buffers' if device == 'cpu' else ''),
        [
            Column('name', 'model'),
            Column('mib', 'MiB', '.2f'),
            Column('change', 'change, %', '+.3f'),
        ],
    )
    for name, step in steps.items():
        step()  # sets up what stays
        peak = peak_bytes(step, device) / 2**20
        plain = table.rows[0]['mib'] if table.rows else peak
        change = 100.0 * (peak / plain - 1.0)
        table.rows.append({'name': name, 'mib': peak, 'change': change})
    (ours,) = (row for row in table.rows if row['name'] == models.OURS)
    gate = Gate('peak with DropBlock, change in %', abs(ours['change']), PEAK_GATE)
    return table, gate
