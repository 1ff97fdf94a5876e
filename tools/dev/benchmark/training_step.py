"""Whole training steps with and without DropBlock, and what its sites take of them."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping

from tools.dev.benchmark import models
from tools.dev.benchmark.models import TrainingStep
from tools.dev.benchmark.report import Column, Gate, Section, Spread, Table
from tools.dev.benchmark.settings import Settings
from tools.dev.benchmark.site_time import SiteTimer
from tools.dev.benchmark.timing import Call, Sample, disturbances, interleave, times

DETECTOR, SEGMENTER = 'RetinaNet-R50-FPN', 'RetinaSeg-R18-FPN'
GATES = {DETECTOR: 0.4, SEGMENTER: 2.0}  # per cent, on the CPU
CUDA_GATE = 1.5


def run(settings: Settings) -> Section:
    """Time the steps of each model in turn."""
    section = Section('training_step', 'Training steps')
    if not models.has_mmdet():
        section.not_run = 'mmdet is not installed'
        return section
    steps = models.training_steps(settings, settings.image_size)
    if settings.device == 'cpu':  # where the sites are timed by themselves
        product = models.multiplying(steps[models.OURS], settings.device)
        steps[models.PRODUCT] = product
    add_to(section, DETECTOR, steps, settings)
    if not models.has_mmseg():
        section.notes.append(f'{SEGMENTER}: mmseg is not installed, skipped')
    elif settings.device == 'cpu':
        add_to(section, SEGMENTER, models.segmentation_steps(settings), settings)
    section.notes += [
        f"{models.OURS}: every convolution and the skip connection of layer3's and "
        "layer4's blocks, the paper's sites",
        f'{models.PLUGIN}: {", ".join(models.POSITIONS)} of the same blocks; it does '
        'not reach the skip connection',
        f'{models.HEAD}: after every norm of the decode head, block '
        f'{models.HEAD_BLOCK}, keep_prob {models.HEAD_KEEP_PROB}',
    ]
    return section


def add_to(
    section: Section, name: str, steps: Mapping[str, TrainingStep], settings: Settings
) -> None:
    """Time some steps in turn, and add a table and a gate to a section."""
    timers = {}
    calls: dict[str, Call] = dict(steps)
    if settings.device == 'cpu':  # the host's clock does not see a GPU's kernels
        timers = {key: SiteTimer(step.model) for key, step in steps.items()}
        calls = {key: timers[key].during(step) for key, step in steps.items()}
    samples = interleave(calls, settings.steps, settings.device, rotate=True)
    table = compare(samples, timers)
    size = f'{settings.image_size}x{settings.image_size}'
    table.title = f'{name}, {settings.batch_size} images of {size}: {table.title}'
    section.tables.append(table)
    section.gates.append(gate(name, table, settings.device))
    everything = itertools.chain(*samples.values())
    section.notes += [f'{name}: {line}' for line in disturbances(everything)]


def compare(
    samples: Mapping[str, list[Sample]], timers: Mapping[str, SiteTimer]
) -> Table:
    """Compare the steps within each round; the rest against the plain model."""
    plain = samples[models.PLAIN]
    table = Table(
        'median (quartiles) of the times, of the differences within each round, and of '
        'what the sites take of the same step',
        [
            Column('name', 'model'),
            Column('ms', 'ms', '.1f'),
            Column('added', 'whole step, added, %', '+.2f'),
            Column('sites', 'sites', 'd'),
            Column('share', 'sites, added, %', '+.3f'),
        ],
    )
    for name, measured in samples.items():
        row = {'name': name, 'ms': times(measured)}
        if measured is not plain:
            row['added'] = added(measured, plain)
        if name in timers and timers[name].calls[-1]:
            row |= {
                'sites': timers[name].calls[-1],
                'share': timers[name].shares(measured),
            }
        table.rows.append(row)
    return table


def added(measured: list[Sample], plain: list[Sample]) -> Spread:
    """Return the differences within each round, in % of the plain step's median."""
    whole = statistics.median(sample.ms for sample in plain)
    pairs = zip(measured, plain, strict=True)
    return Spread.of([100.0 * (a.ms - b.ms) / whole for a, b in pairs])


def gate(name: str, table: Table, device: str) -> Gate:
    """Hold what DropBlock adds to its limit.

    On the CPU that is the time of the sites: a step differs from the next by more than
    the limit, whatever is in it.
    """
    (ours,) = (row for row in table.rows if row['name'] in (models.OURS, models.HEAD))
    if device == 'cuda':
        return Gate(f'{name}, added by DropBlock, %', ours['added'].median, CUDA_GATE)
    return Gate(f'{name}, added by the sites, %', ours['share'].median, GATES[name])
