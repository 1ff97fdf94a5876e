"""The op alone, forward and backward, against the peers pair by pair."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Any

from tools.dev.benchmark import formats, methods, peers, sweep
from tools.dev.benchmark.peers import Implementation
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

COLUMNS = [
    Column('case', 'input'),
    Column('peer', 'peer'),
    Column('against', 'against'),
    Column('peer_ms', 'peer, ms', '.3f'),
    Column('ours_ms', 'ours, ms', '.3f'),
    Column('ratio', 'peer / ours', '.2f'),
    Column('verdict', 'ours is'),
]
MEDIAN_GATE, EACH_GATE = 28.0, 12.0
CONSTANT_GATE, CONSTANT_GATE_SMALL, LARGE = 1.3, 1.6, 1_500_000  # units
CUDA_DENSE_GATE, CUDA_CONSTANT_GATE = 6.0, 1.25


def run(settings: Settings) -> Section:
    """Measure every case against everything that is installed."""
    others, absent = peers.installed_peers()
    table = Table(
        f'Forward and backward, block {BLOCK_SIZE}, keep_prob {KEEP_PROB}: median '
        '(quartiles) of the times and of the ratios within each pair',
        COLUMNS,
    )
    everything: list[Sample] = []
    for case in settings.cases:
        for peer, ours in pairings(others):
            samples = compare(peer, ours, case, settings)
            table.rows.append(row(case, peer, ours, samples))
            everything += samples[0] + samples[1]
    section = Section('op', f'The op on the {settings.device.upper()}', [table])
    section.gates = gates(table.rows, settings)
    if settings.device == 'cpu':
        methods.add_to(section, settings)
        formats.add_to(section, settings)
        sweep.add_to(section, settings)
    section.notes = [*absent, *losses(table.rows), *disturbances(everything)]
    return section


def pairings(
    others: Sequence[Implementation],
) -> list[tuple[Implementation, Implementation]]:
    """Return (peer, ours): a shared mask is held against our shared mask too."""
    found = [(peers.DENSE, peers.OURS)]
    found += [(peer, peers.OURS) for peer in others]
    found += [(peer, peers.OURS_SHARED) for peer in others if peer.shared]
    ours = [peers.DROPOUT, peers.TIMES_CONSTANT, peers.OUR_FUNCTION]
    return found + [(peer, peers.OURS) for peer in ours]


def compare(
    peer: Implementation, ours: Implementation, case: Case, settings: Settings
) -> tuple[list[Sample], list[Sample]]:
    """Time the peer and at once ours, again and again."""
    x = case.tensor(settings.device).requires_grad_()
    grad = case.tensor(settings.device)
    calls = {
        name: forward_backward(
            built.build(KEEP_PROB, BLOCK_SIZE).train().to(settings.device), x, grad
        )
        for name, built in (('peer', peer), ('ours', ours))
    }
    with room_for(x):
        samples = interleave(calls, settings.repeats, settings.device)
    return samples['peer'], samples['ours']


def row(
    case: Case,
    peer: Implementation,
    ours: Implementation,
    samples: tuple[list[Sample], list[Sample]],
) -> dict[str, Any]:
    """Return a line of the table."""
    ratio = ratios(*samples)
    return {
        'case': str(case),
        'units': math.prod(case.shape),
        'peer': peer.name,
        'against': ours.name,
        'peer_ms': times(samples[0]),
        'ours_ms': times(samples[1]),
        'ratio': ratio,
        'verdict': verdict(ratio.median),
    }


def verdict(ratio: float) -> str:
    """Say who is faster, and how many times; a loss as plainly as a win."""
    factor = max(ratio, 1.0 / ratio)
    word = 'faster' if ratio >= 1.0 else 'SLOWER'
    return f'{factor:.2f}x {word}' if factor < 2.0 else f'{factor:.1f}x {word}'


def median_ratios(rows: Sequence[dict[str, Any]], peer: str) -> dict[str, float]:
    """Return the median ratio against a peer, by input."""
    return {row['case']: row['ratio'].median for row in rows if row['peer'] == peer}


def gates(rows: Sequence[dict[str, Any]], settings: Settings) -> list[Gate]:
    """Hold the ratios to what the op promises."""
    dense = median_ratios(rows, peers.DENSE.name)
    constant = median_ratios(rows, peers.TIMES_CONSTANT.name)
    units = {row['case']: row['units'] for row in rows}
    if settings.device == 'cuda':
        return cuda_gates(dense, constant)
    middle = statistics.median(dense.values())
    return [
        Gate('dense / ours, median over the inputs', middle, MEDIAN_GATE, True),
        *(
            Gate(f'dense / ours, {case}', ratio, EACH_GATE, at_least=True)
            for case, ratio in dense.items()
        ),
        *(
            Gate(
                f'ours / (x * c), {case}',
                1.0 / ratio,
                CONSTANT_GATE if units[case] > LARGE else CONSTANT_GATE_SMALL,
            )
            for case, ratio in constant.items()
        ),
        *(
            Gate(
                f'{row["peer"]} / ours shared, {row["case"]}',
                row['ratio'].median,
                1.0,
                at_least=True,
            )
            for row in rows
            if row['against'] == peers.OURS_SHARED.name
        ),
    ]


def cuda_gates(dense: dict[str, float], constant: dict[str, float]) -> list[Gate]:
    """The promises for a GPU, for every input."""
    return [
        Gate(f'dense / ours, {case}', ratio, CUDA_DENSE_GATE, at_least=True)
        for case, ratio in dense.items()
    ] + [
        Gate(f'ours / (x * c), {case}', 1.0 / ratio, CUDA_CONSTANT_GATE)
        for case, ratio in constant.items()
    ]


def losses(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Name every input and peer for which ours is slower."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row['ratio'].median < 1.0 and row['peer'] != peers.OUR_FUNCTION.name:
            pair = f'{row["against"]} is slower than {row["peer"]}'
            factor = row['verdict'].split()[0]
            found.setdefault(pair, []).append(f'{factor} at {row["case"]}')
    return [f'{pair}: {", ".join(cases)}' for pair, cases in found.items()]
