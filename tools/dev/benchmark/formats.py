"""Ours against ours: in half precision, and with channels behind each other."""

from __future__ import annotations

from dataclasses import replace

import torch

from tools.dev.benchmark import peers
from tools.dev.benchmark.report import Column, Gate, Section, Table
from tools.dev.benchmark.settings import BLOCK_SIZE, KEEP_PROB, Case, Settings
from tools.dev.benchmark.timing import (
    Call,
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
        f'{KEEP_PROB}: over ours in fp32 and contiguous, within each round',
        [
            Column('case', 'input'),
            Column('ms', 'ms', '.3f'),
            Column('ratio', 'over fp32, contiguous', '.3f'),
        ],
    )
    for number, case in enumerate(settings.cases):
        formats = formats_of(case)
        calls = {str(found): call_of(found, settings) for found in formats}
        x = case.tensor(settings.device)
        with room_for(x), room_for(x.half()):  # results come in both sizes
            samples = interleave(calls, settings.repeats, settings.device, rotate=True)
        first = samples[str(case)]
        for found in formats:
            row = {'case': str(found), 'ms': times(samples[str(found)])}
            if found != case:
                ratio = ratios(samples[str(found)], first)
                row['ratio'] = ratio
                if number == 0:
                    section.gates.append(gate(found, ratio.median))
            table.rows.append(row)
    section.tables.append(table)


def formats_of(case: Case) -> list[Case]:
    """Return a case, in half precision, and with channels behind each other."""
    halves = [replace(case, dtype=d) for d in (torch.bfloat16, torch.float16)]
    return [case, *halves, replace(case, channels_last=True)]


def call_of(case: Case, settings: Settings) -> Call:
    """Return a call of ours, forward and backward."""
    layer = peers.OURS.build(KEEP_PROB, BLOCK_SIZE).train().to(settings.device)
    x = case.tensor(settings.device).requires_grad_()
    return forward_backward(layer, x, case.tensor(settings.device))


def gate(case: Case, ratio: float) -> Gate:
    """Hold the ratio to that of the bytes."""
    limit = LAYOUT_GATE if case.channels_last else HALF_GATE
    return Gate(f'ours, {case} / fp32, contiguous', ratio, limit)
