"""Other regularisers, high drop rates and exact rates against their limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from dropblock_mm import DropPath, SpatialDropout, expected_keep_rate, seed_rate
from dropblock_mm.ops.rates import keep_rate_of_gamma, solve_gamma
from tools.dev.benchmark import peers
from tools.dev.benchmark.peers import Implementation
from tools.dev.benchmark.report import Column, Gate, Section, Table
from tools.dev.benchmark.settings import KEEP_PROB, Case, Settings
from tools.dev.benchmark.timing import (
    forward_backward,
    interleave,
    ratios,
    room_for,
    times,
)

HEAD = Case((4, 256, 65, 65))  # where the paper's segmentation head has its DropBlock
DROPOUT_GATE = 0.5
HEAD_GATES = {4: 0.2, 16: 0.08}
SPATIAL_GATE, PATH_GATE = 1.2, 1.1
FIRST_GATE, AGAIN_GATE = 5.0, 0.1  # ms
SPATIAL = Implementation(
    'SpatialDropout', lambda keep_prob, _: SpatialDropout(keep_prob=keep_prob)
)
PATH = Implementation('DropPath', lambda keep_prob, _: DropPath(keep_prob=keep_prob))
RATES: dict[str, Any] = dict(keep_prob=0.3, block_size=256, feature_size=(512, 512))


def add_to(section: Section, settings: Settings) -> None:
    """Measure, and add what was found to a section."""
    table = Table(
        'Other methods and high drop rates, forward and backward: ours over the other '
        'within each pair',
        [
            Column('case', 'input'),
            Column('name', 'ours'),
            Column('keep_prob', 'keep_prob', '.1f'),
            Column('other', 'against'),
            Column('ours_ms', 'ours, ms', '.3f'),
            Column('other_ms', 'other, ms', '.3f'),
            Column('ratio', 'ours / other', '.3f'),
        ],
    )

    def pair(
        case: Case, ours: Implementation, other: Implementation, rate: float,
        block_size: int, limit: float,
    ) -> None:  # fmt: skip
        name = f'{ours.name} {block_size}' if ours is peers.OURS else ours.name
        x = case.tensor(settings.device).requires_grad_()
        grad = case.tensor(settings.device)
        calls = {
            key: forward_backward(built.build(rate, block_size).train(), x, grad)
            for key, built in (('other', other), ('ours', ours))
        }
        rounds = min(settings.repeats, 15) if case is head else settings.repeats
        with room_for(x):
            samples = interleave(calls, rounds, settings.device)
        ratio = ratios(samples['ours'], samples['other'])
        table.rows.append(
            {
                'case': str(case),
                'name': name,
                'keep_prob': rate,
                'other': other.name,
                'ours_ms': times(samples['ours']),
                'other_ms': times(samples['other']),
                'ratio': ratio,
            }
        )
        what = f'{name} / {other.name}, keep_prob {rate}, {case}'
        section.gates.append(Gate(what, ratio.median, limit))

    head = HEAD if settings.is_full else settings.map_case
    for rate in (0.2, 0.5, 0.9):
        for case in (head, settings.map_case):
            pair(case, peers.OURS, peers.DROPOUT, rate, 1, DROPOUT_GATE)
    for block_size, limit in HEAD_GATES.items():
        pair(head, peers.OURS, peers.DROPOUT, 0.2, block_size, limit)
    for case in settings.cases[:2]:
        pair(case, SPATIAL, peers.TIMES_CONSTANT, KEEP_PROB, 1, SPATIAL_GATE)
        pair(case, PATH, peers.TIMES_CONSTANT, KEEP_PROB, 1, PATH_GATE)
    section.tables.append(table)
    section.gates += rate_gates()


def rate_gates() -> list[Gate]:
    """Time the exact rates of a large block on a large map, at first and again."""
    found = []
    for name, function in (
        ('expected_keep_rate', lambda: expected_keep_rate(**RATES)),
        ('seed_rate(calibrated=True)', lambda: seed_rate(**RATES, calibrated=True)),
    ):
        first, again = [], []
        for _ in range(5):  # what disturbs a call only adds to it
            keep_rate_of_gamma.cache_clear()
            solve_gamma.cache_clear()
            first.append(elapsed(function))
            again.append(elapsed(function))
        found += [
            Gate(f'{name} at 512x512, first, ms', min(first), FIRST_GATE),
            Gate(f'{name} at 512x512, again, ms', min(again), AGAIN_GATE),
        ]
    return found


def elapsed(function: Callable[[], object]) -> float:
    """Return the milliseconds of a call."""
    start = time.perf_counter()
    function()
    return (time.perf_counter() - start) * 1e3
