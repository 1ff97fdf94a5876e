"""How the cost grows: with the size of a block, and with the number of units."""

from __future__ import annotations

import itertools
import math

import numpy as np

from dropblock_mm import expected_keep_rate
from tools.dev.benchmark import peers
from tools.dev.benchmark.report import Column, Gate, Section, Table
from tools.dev.benchmark.settings import BLOCK_SIZE, KEEP_PROB, Case, Settings
from tools.dev.benchmark.timing import (
    Sample,
    disturbances,
    forward_backward,
    interleave,
    ratios,
    room_for,
    times,
)

BLOCK_SIZES = (1, 3, 7, 15, 33)
GROWTH_GATE, SPAN_GATE, EXPONENT_GATE = 1.5, 4.0, 0.1
DENSE_ROUNDS = 5  # at block 33 one call of the dense algorithm takes half a second


def run_block_size(settings: Settings) -> Section:
    """Time several block sizes at the same keep_prob, in turn."""
    case = settings.map_case
    table = Table(
        f'Forward and backward at {case}, keep_prob {KEEP_PROB}; the growth is over '
        'block 1, within each round',
        [
            Column('block_size', 'block_size', 'd'),
            Column('expected', 'expected keep rate', '.4f'),
            Column('ours_ms', 'ours, ms', '.3f'),
            Column('growth', 'ours, growth', '.2f'),
            Column('dense_ms', 'dense algorithm, ms', '.2f'),
            Column('dense_growth', 'dense, growth', '.2f'),
        ],
    )
    ours = time_blocks(peers.OURS, settings, settings.repeats)
    dense = time_blocks(peers.DENSE, settings, min(settings.repeats, DENSE_ROUNDS))
    for size in BLOCK_SIZES:
        table.rows.append(
            {
                'block_size': size,
                'expected': expected_keep_rate(
                    keep_prob=KEEP_PROB, block_size=size, feature_size=case.shape[2:]
                ),
                'ours_ms': times(ours[str(size)]),
                'growth': ratios(ours[str(size)], ours['1']),
                'dense_ms': times(dense[str(size)]),
                'dense_growth': ratios(dense[str(size)], dense['1']),
            }
        )
    growths = [row['growth'].median for row in table.rows]
    medians = [row['ours_ms'].median for row in table.rows]
    section = Section('block_size', 'Block sizes', [table])
    section.gates = [
        Gate('block 33 / block 1', growths[-1], GROWTH_GATE),
        Gate('any block / block 1', max(growths), GROWTH_GATE),
        Gate('slowest / fastest block', max(medians) / min(medians), SPAN_GATE),
    ]
    everything = itertools.chain(*ours.values(), *dense.values())
    section.notes = disturbances(everything)
    return section


def time_blocks(
    implementation: peers.Implementation, settings: Settings, rounds: int
) -> dict[str, list[Sample]]:
    """Time all block sizes in turn; by block size as text."""
    x = settings.map_case.tensor(settings.device).requires_grad_()
    grad = settings.map_case.tensor(settings.device)
    calls = {
        str(size): forward_backward(
            implementation.build(KEEP_PROB, size).train().to(settings.device), x, grad
        )
        for size in BLOCK_SIZES
    }
    with room_for(x):
        return interleave(calls, rounds, settings.device, rotate=True)


def run_scaling(settings: Settings) -> Section:
    """Time several batch sizes, and fit the exponent of the growth."""
    table = Table(
        f'Forward and backward, block {BLOCK_SIZE}, keep_prob {KEEP_PROB}',
        [
            Column('case', 'input'),
            Column('units', 'units', ',d'),
            Column('ours_ms', 'ours, ms', '.3f'),
            Column('ours_ns', 'ours, ns per unit', '.3f'),
            Column('constant_ms', 'x * c, ms', '.3f'),
            Column('constant_ns', 'x * c, ns per unit', '.3f'),
        ],
    )
    everything: list[Sample] = []
    for batch in settings.batches:
        case = Case((batch, *settings.map_case.shape[1:]))
        row, samples = scaling_row(case, settings)
        table.rows.append(row)
        everything += samples
    units = [row['units'] for row in table.rows]
    fits = {
        key: exponent(units, [row[f'{key}_ms'].median for row in table.rows])
        for key in ('ours', 'constant')
    }
    section = Section('scaling', 'Number of units', [table])
    # Even x * c grows faster than linearly where an input no longer fits the cache.
    excess = fits['ours'] - fits['constant']
    section.gates = [
        Gate('exponent of ours, beyond that of x * c', excess, EXPONENT_GATE)
    ]
    section.notes = [
        'the exponent k of a fit of time = a * units^k, where 1 is linear: '
        f'ours {fits["ours"]:.2f}, x * c {fits["constant"]:.2f}',
        *disturbances(everything),
    ]
    return section


def scaling_row(case: Case, settings: Settings) -> tuple[dict, list[Sample]]:
    """Time ours and x * c in turn."""
    x = case.tensor(settings.device).requires_grad_()
    grad = case.tensor(settings.device)
    calls = {
        name: forward_backward(
            built.build(KEEP_PROB, BLOCK_SIZE).train().to(settings.device), x, grad
        )
        for name, built in (('constant', peers.TIMES_CONSTANT), ('ours', peers.OURS))
    }
    with room_for(x):
        samples = interleave(calls, settings.repeats, settings.device)
    units = math.prod(case.shape)
    row: dict = {'case': str(case), 'units': units}
    for name, measured in samples.items():
        row[f'{name}_ms'] = times(measured)
        row[f'{name}_ns'] = row[f'{name}_ms'].median * 1e6 / units
    return row, samples['constant'] + samples['ours']


def exponent(sizes: list[int], values: list[float]) -> float:
    """Return k of the least-squares fit of values = a * sizes^k."""
    slope, _ = np.polyfit(np.log(sizes), np.log(values), 1)
    return float(slope)
