"""A sweep over blocks, rates, dtypes and shapes: where is ours slower, if anywhere?"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch

from tools.dev.benchmark import memory, peers
from tools.dev.benchmark.peers import Implementation
from tools.dev.benchmark.report import Column, Gate, Section, Table
from tools.dev.benchmark.settings import Case, Settings
from tools.dev.benchmark.timing import forward_backward, interleave

BLOCK_SIZES = (1, 3, 7, 15, 33)
KEEP_PROBS = (0.2, 0.5, 0.9, 0.99)
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
# Of 400,000 units each: from the maps of a classifier's end to those of a decode head.
# Their sides are odd, for the dense algorithm: where a block is larger than the map,
# its side becomes the map's.
SHAPES = ((4, 2048, 7, 7), (2, 512, 21, 21), (2, 256, 27, 27), (1, 96, 65, 65))
ROUNDS = 5
SHARE_GATE, POINTS_GATE = 2.0, 200
PEERS = (peers.DENSE, peers.DROPOUT)


def add_to(section: Section, settings: Settings) -> None:
    """Measure all points, and add what was found to a section."""
    table = Table(
        f'Forward and backward at all combinations of blocks, keep_prob {KEEP_PROBS} '
        'and inputs: the smallest ratios of the shortest times by block, and where',
        [
            Column('block_size', 'block_size', 'd'),
            Column('points', 'points', 'd'),
            Column('dense', 'dense / ours', '.2f'),
            Column('dense_at', 'at'),
            Column('dropout', 'F.dropout / ours', '.2f'),
            Column('dropout_at', 'at'),
            Column('share', 'saved for backward, %', '.2f'),
        ],
    )
    found = [measure(*point, settings) for point in points_of(settings)]
    for size in BLOCK_SIZES:
        of_size = [point for point in found if point['block_size'] == size]
        table.rows.append(worst(of_size))
    section.tables.append(table)
    section.gates += gates(table.rows, len(found))


def points_of(settings: Settings) -> list[tuple[int, float, Case]]:
    """Return block size, keep_prob and input of every point."""
    rates = KEEP_PROBS if settings.is_full else KEEP_PROBS[:1]
    return list(itertools.product(BLOCK_SIZES, rates, inputs(settings)))


def inputs(settings: Settings) -> list[Case]:
    """Return every shape in every dtype, and one of them channels-last."""
    if not settings.is_full:
        return [Case((1, 8, 9, 9))]
    cases = [Case(shape, dtype) for shape in SHAPES for dtype in DTYPES]
    return cases + [Case(SHAPES[2], dtype, channels_last=True) for dtype in DTYPES]


def measure(
    block_size: int, keep_prob: float, case: Case, settings: Settings
) -> dict[str, Any]:
    """Time ours and the peers in turn; the shortest times tell them apart best."""
    x = case.tensor(settings.device).requires_grad_()
    grad = case.tensor(settings.device)

    def layer(built: Implementation) -> torch.nn.Module:
        return built.build(keep_prob, block_size).train().to(settings.device)

    calls = {
        built.name: forward_backward(layer(built), x, grad)
        for built in (*PEERS, peers.OURS)
    }
    samples = interleave(calls, ROUNDS if settings.is_full else 1, settings.device)
    shortest = {name: min(s.ms for s in found) for name, found in samples.items()}
    ours = shortest[peers.OURS.name]
    saved = memory.saved_bytes(layer(peers.OURS), x)
    return {
        'block_size': block_size,
        'at': f'{case}, {keep_prob}',
        'dense': shortest[peers.DENSE.name] / ours,
        'dropout': shortest[peers.DROPOUT.name] / ours,
        'share': 100.0 * saved / (math.prod(case.shape) * x.element_size()),
    }


def worst(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the row of a block size: the smallest ratios, and the largest share."""
    row = {'block_size': found[0]['block_size'], 'points': len(found)}
    for name in ('dense', 'dropout'):
        least = min(found, key=lambda point: point[name])
        row |= {name: least[name], f'{name}_at': least['at']}
    return row | {'share': max(point['share'] for point in found)}


def gates(rows: list[dict[str, Any]], points: int) -> list[Gate]:
    """Hold every point to: never slower, and next to nothing kept."""
    return [
        Gate('points of the sweep', points, POINTS_GATE, at_least=True),
        Gate('dense / ours, smallest', min(row['dense'] for row in rows), 1.0, True),
        Gate(
            'F.dropout / ours, smallest', min(row['dropout'] for row in rows), 1.0, True
        ),
        Gate('largest share saved, %', max(row['share'] for row in rows), SHARE_GATE),
    ]
