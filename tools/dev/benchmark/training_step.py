"""A whole training step of RetinaNet, with and without DropBlock."""

from __future__ import annotations

import itertools
import statistics

from tools.dev.benchmark import models
from tools.dev.benchmark.report import Column, Gate, Section, Spread, Table
from tools.dev.benchmark.settings import Settings
from tools.dev.benchmark.timing import Sample, disturbances, interleave, times

GATES = {'cpu': 0.4, 'cuda': 1.5}  # per cent


def run(settings: Settings) -> Section:
    """Time the steps in turn."""
    section = Section('training_step', 'Training step of RetinaNet-R50-FPN')
    if not models.has_mmdet():
        section.not_run = 'mmdet is not installed'
        return section
    steps = models.training_steps(settings, settings.image_size)
    size = f'{settings.image_size}x{settings.image_size}'
    samples = interleave(steps, settings.steps, settings.device, rotate=True)
    table, gate = compare(samples, settings.device)
    table.title = f'{settings.batch_size} images of {size}; {table.title}'
    section.tables, section.gates = [table], [gate]
    section.notes = [
        f"{models.OURS}: every convolution and the skip connection of layer3's and "
        "layer4's blocks, the paper's sites",
        f'{models.PLUGIN}: {", ".join(models.POSITIONS)} of the same blocks; it does '
        'not reach the skip connection',
        *disturbances(itertools.chain(*samples.values())),
    ]
    return section


def compare(samples: dict[str, list[Sample]], device: str) -> tuple[Table, Gate]:
    """Compare the steps within each round; the rest against the plain model."""
    plain = samples[models.PLAIN]
    table = Table(
        'median (quartiles) of the times, and of the differences within each round',
        [
            Column('name', 'model'),
            Column('ms', 'ms', '.1f'),
            Column('added', 'added, %', '+.2f'),
        ],
    )
    for name, measured in samples.items():
        difference = added(measured, plain) if measured is not plain else None
        table.rows.append({'name': name, 'ms': times(measured), 'added': difference})
    (ours,) = (row['added'] for row in table.rows if row['name'] == models.OURS)
    return table, Gate('added by DropBlock, %', ours.median, GATES[device])


def added(measured: list[Sample], plain: list[Sample]) -> Spread:
    """Return the differences within each round, in % of the plain step's median."""
    whole = statistics.median(sample.ms for sample in plain)
    pairs = zip(measured, plain, strict=True)
    return Spread.of([100.0 * (a.ms - b.ms) / whole for a, b in pairs])
