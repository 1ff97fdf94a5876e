"""What each implementation really keeps: a fast op that is wrong is no op."""

from __future__ import annotations

import math
import statistics
from typing import Any

import torch

from dropblock_mm import expected_keep_rate
from tools.dev.benchmark import peers
from tools.dev.benchmark.report import Column, Gate, Mean, Section, Table
from tools.dev.benchmark.settings import Settings

# keep_prob, block_size, map: the common case, a block as large as the map, the
# paper's segmentation head, a map that is not square, and an even block.
CASES = (
    (0.9, 7, (40, 40)),
    (0.9, 7, (7, 7)),
    (0.2, 15, (65, 65)),
    (0.9, 7, (50, 20)),
    (0.9, 4, (20, 20)),
)
STANDARD_ERRORS_GATE = 5.0
OUR_CALLS = 10  # times as many: the gate needs a sharper figure than the table


def run(settings: Settings) -> Section:
    """Count the units that are not zero after dropping blocks of ones."""
    others, notes = peers.installed_peers()
    table = Table(
        'Share of units kept (mean ± standard error), by keep_prob, block and map',
        [Column('name', 'implementation')]
        + [
            Column(key(case), f'{case[0]}, block {case[1]}, {size(case)}', '.4f')
            for case in CASES
        ],
    )
    exact = {
        key(case): expected_keep_rate(
            keep_prob=case[0], block_size=case[1], feature_size=case[2]
        )
        for case in CASES
    }
    table.rows.append({'name': 'exact expectation', **exact})
    for way in (peers.OURS, peers.DENSE, *others):
        calls = settings.calls * (OUR_CALLS if way.ours else 1)
        rates = {key(case): keep_rate(way, case, settings, calls) for case in CASES}
        table.rows.append({'name': way.name, **rates})
    section = Section('keep_rate', 'Effective keep rate', [table], notes=notes)
    section.gates = [gate(table.rows[0], table.rows[1])]
    return section


def key(case: tuple[float, int, tuple[int, int]]) -> str:
    """Return the key of a case in a row."""
    return f'keep_prob_{case[0]}_block_{case[1]}_{size(case)}'


def size(case: tuple[float, int, tuple[int, int]]) -> str:
    """Return the size of the map as text."""
    return 'x'.join(map(str, case[2]))


def keep_rate(
    way: peers.Implementation,
    case: tuple[float, int, tuple[int, int]],
    settings: Settings,
    calls: int,
) -> Mean | str:
    """Measure a keep rate, or return what the implementation raised.

    Each image has one channel, so that a shared mask is a mask like others.
    """
    keep_prob, block_size, (height, width) = case
    ones = torch.ones(settings.masks, 1, height, width, device=settings.device)
    try:
        layer = way.build(keep_prob, block_size).train().to(settings.device)
        rates = [(layer(ones) != 0).float().mean().item() for _ in range(calls)]
    except Exception as error:  # a peer may refuse a case in any way
        if way.ours:
            raise
        return type(error).__name__
    return Mean(statistics.fmean(rates), statistics.stdev(rates) / math.sqrt(calls))


def gate(exact: dict[str, Any], ours: dict[str, Any]) -> Gate:
    """Hold the largest distance from the expectation to its limit."""
    distances = [
        abs(rate.mean - exact[name]) / rate.error
        for name, rate in ours.items()
        if isinstance(rate, Mean)
    ]
    name = 'ours, largest distance from the expectation in standard errors'
    return Gate(name, max(distances), STANDARD_ERRORS_GATE)
