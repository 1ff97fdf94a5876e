"""Ours against ours: in half precision, and with channels behind each other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from tools.dev.benchmark import peers
from tools.dev.benchmark.peers import Implementation
from tools.dev.benchmark.report import Column, Gate, Section, Table
from tools.dev.benchmark.settings import BLOCK_SIZE, KEEP_PROB, Case, Settings
from tools.dev.benchmark.timing import (
    Call,
    Sample,
    forward_backward,
    interleave,
    ratios,
    room_for,
    times,
)

HALF_GATE, LAYOUT_GATE = 0.5, 1.0  # half of the bytes; and as many


def add_to(section: Section, settings: Settings) -> None:
    """Measure all inputs; the largest is held to the limits.

    There memory is what takes the time. A smaller input fits into the caches, and the
    draw of a mask, the call and the conversions are the same for half of the bytes.
    """
    table = Table(
        f'Ours in other formats, forward and backward, block {BLOCK_SIZE}, keep_prob '
        f'{KEEP_PROB}, and in rounds of their own `x * c`, which draws nothing: over '
        'fp32 and contiguous, within each round',
        [
            Column('case', 'input'),
            Column('ms', 'ours, ms', '.3f'),
            Column('ratio', 'ours over fp32, contiguous', '.3f'),
            Column('product_ms', 'x * c, ms', '.3f'),
            Column('product_ratio', 'x * c over fp32, contiguous', '.3f'),
        ],
    )
    for number, case in enumerate(settings.cases):
        ours = take_turns(case, peers.OURS, settings)
        product = take_turns(case, peers.TIMES_CONSTANT, settings)
        for found in formats_of(case):
            row: dict[str, Any] = {
                'case': str(found),
                'ms': times(ours[found]),
                'product_ms': times(product[found]),
            }
            if found != case:
                row['ratio'] = ratios(ours[found], ours[case])
                row['product_ratio'] = ratios(product[found], product[case])
                if number == 0:
                    section.gates.append(gate(found, row['ratio'].median))
            table.rows.append(row)
    section.tables.append(table)


def take_turns(
    case: Case, implementation: Implementation, settings: Settings
) -> dict[Case, list[Sample]]:
    """Time all formats of a case in turn."""
    formats = formats_of(case)
    calls = {str(found): call_of(found, implementation, settings) for found in formats}
    x = case.tensor(settings.device)
    with room_for(x), room_for(x.half()):  # results come in both sizes
        samples = interleave(calls, settings.repeats, settings.device, rotate=True)
    return {found: samples[str(found)] for found in formats}


def formats_of(case: Case) -> list[Case]:
    """Return a case, in half precision, and with channels behind each other."""
    halves = [replace(case, dtype=d) for d in (torch.bfloat16, torch.float16)]
    return [case, *halves, replace(case, channels_last=True)]


def call_of(case: Case, implementation: Implementation, settings: Settings) -> Call:
    """Return a call of a layer, forward and backward."""
    layer = implementation.build(KEEP_PROB, BLOCK_SIZE).train().to(settings.device)
    x = case.tensor(settings.device).requires_grad_()
    return forward_backward(layer, x, case.tensor(settings.device))


def gate(case: Case, ratio: float) -> Gate:
    """Hold the ratio to that of the bytes."""
    limit = LAYOUT_GATE if case.channels_last else HALF_GATE
    return Gate(f'ours, {case} / fp32, contiguous', ratio, limit)
