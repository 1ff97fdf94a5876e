"""What only a GPU can show: time in kernels, and whether the host has to wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from tools.dev.benchmark import peers
from tools.dev.benchmark.report import Column, Gate, Section, Table, first_line
from tools.dev.benchmark.settings import BLOCK_SIZE, KEEP_PROB, Case, Settings
from tools.dev.benchmark.timing import CUDA_CALLS, WARM_UP, Call, forward_backward


def run(settings: Settings) -> Section:
    """Measure kernels and synchronisations on a GPU; without one, say so."""
    section = Section('cuda', 'Kernels on a GPU')
    if not torch.cuda.is_available():
        section.not_run = 'no CUDA device'
        return section
    if settings.device != 'cuda':
        section.not_run = 'give --device cuda'
        return section
    others, section.notes = peers.installed_peers()
    table = Table(
        'Time in kernels, forward and backward, by the profiler',
        [
            Column('case', 'input'),
            Column('name', 'implementation'),
            Column('us', 'time in kernels, µs', '.1f'),
            Column('kernels', 'kernels', '.1f'),
            Column('waits', 'waits for the GPU'),
        ],
    )
    ways = (peers.OURS, peers.TIMES_CONSTANT, peers.DROPOUT, peers.DENSE, *others)
    for case in settings.cases:
        table.rows += [kernel_row(way, case) for way in ways]
    section.tables.append(table)
    ours = [row for row in table.rows if row['name'] == peers.OURS.name]
    number = sum(row['waits'] != 'no' for row in ours)
    section.gates = [Gate('inputs for which ours waits for the GPU', number, 0)]
    return section


def kernel_row(way: peers.Implementation, case: Case) -> dict[str, Any]:
    """Measure one implementation on one input."""
    layer = way.build(KEEP_PROB, BLOCK_SIZE).train().cuda()
    x, grad = case.tensor('cuda').requires_grad_(), case.tensor('cuda')
    call = forward_backward(layer, x, grad)
    for _ in range(WARM_UP):
        call()
    return {'case': str(case), 'name': way.name, **kernels(call), 'waits': waits(call)}


def kernels(call: Call) -> dict[str, float]:
    """Return the time in kernels and their number, per call."""
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    with profile(activities=activities) as profiler:
        for _ in range(CUDA_CALLS):
            call()
        torch.cuda.synchronize()
    found = [e for e in profiler.events() if e.device_type.name == 'CUDA']
    return {
        'us': sum(event.time_range.elapsed_us() for event in found) / CUDA_CALLS,
        'kernels': len(found) / CUDA_CALLS,
    }


def waits(call: Callable[[], object]) -> str:
    """Tell whether a call waits for the GPU: 'no', or what torch says of it."""
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode('error')
    try:
        call()
    except RuntimeError as error:
        return f'yes, {first_line(error)}'
    finally:
        torch.cuda.set_sync_debug_mode(mode)
    return 'no'
