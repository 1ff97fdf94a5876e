"""A training step whose head, where DropBlock is, is compiled: with and without it.

Whole steps are compared, and the compiled head by itself, forward and backward: what
DropBlock adds is there alone, and a step differs from the next by more than the limit.
Its share is of a step in which the rest is not compiled, for that takes minutes.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import torch
from torch._dynamo import config as dynamo

from tools.dev.benchmark import models
from tools.dev.benchmark.models import TrainingStep
from tools.dev.benchmark.report import Column, Gate, Section, Spread, Table
from tools.dev.benchmark.settings import Settings
from tools.dev.benchmark.timing import Call, Sample, disturbances, interleave, times
from tools.dev.benchmark.training_step import SEGMENTER, added

GATE = 1.0  # per cent
CALLS = 4  # of the heads, for each step


def add_to(section: Section, settings: Settings) -> None:
    """Compile the heads of both models, time them in turn, and add what was found."""
    if not settings.is_full:
        section.notes.append('a compiled step: not in a quick run, for its half minute')
        return
    if not models.has_mmseg():
        section.notes.append('a compiled step: mmseg is not installed, skipped')
        return
    torch._dynamo.reset()
    steps = models.segmentation_steps(settings)
    # By default the code for the first model would do for both: hooks are not asked.
    with dynamo.patch(skip_nnmodule_hook_guards=False):
        heads = {name: compiled_head(step, settings) for name, step in steps.items()}
        whole = interleave(steps, settings.steps, settings.device, rotate=True)
        rounds = CALLS * settings.steps
        alone = interleave(heads, rounds, settings.device, rotate=True)
    table = compare(whole, alone)
    size = f'{settings.image_size}x{settings.image_size}'
    table.title = (
        f'{SEGMENTER}, {settings.batch_size} images of {size}, its head compiled: '
        f'{table.title}'
    )
    section.tables.append(table)
    share = table.rows[-1]['share'].median
    section.gates.append(
        Gate(f'{SEGMENTER}, added to the compiled step, %', share, GATE)
    )
    section.notes += disturbances([*alone[models.PLAIN], *alone[models.HEAD]])


def compiled_head(step: TrainingStep, settings: Settings) -> Call:
    """Compile the head of a step's model; return its call, forward and backward."""
    model = step.model
    head = model.decode_head
    head.forward = torch.compile(head.forward, fullgraph=True)
    size = (settings.batch_size, 3, settings.image_size, settings.image_size)
    with torch.no_grad():
        maps = model.extract_feat(torch.randn(size))
    maps = [found.detach().requires_grad_() for found in maps]
    grad = torch.randn_like(head(maps))
    return lambda: head(maps).backward(grad)


def compare(
    whole: Mapping[str, list[Sample]], alone: Mapping[str, list[Sample]]
) -> Table:
    """Compare within each round; all differences are in % of the plain step.

    Args:
        whole: Steps, without DropBlock and with it.
        alone: The heads of both.
    """
    table = Table(
        'median (quartiles) of the times, and of what DropBlock adds within each '
        'round, to the step and to its compiled head alone',
        [
            Column('name', 'model'),
            Column('ms', 'ms', '.1f'),
            Column('head_ms', 'head, ms', '.2f'),
            Column('added', 'whole step, added, %', '+.2f'),
            Column('share', 'head, added, % of the step', '+.2f'),
        ],
    )
    for name, samples in whole.items():
        row = {'name': name, 'ms': times(samples), 'head_ms': times(alone[name])}
        if name != models.PLAIN:
            row['added'] = added(samples, whole[models.PLAIN])
            row['share'] = share(alone[name], alone[models.PLAIN], whole[models.PLAIN])
        table.rows.append(row)
    return table


def share(ours: list[Sample], plain: list[Sample], steps: list[Sample]) -> Spread:
    """Return what a head takes beyond the plain one, in % of the plain step."""
    whole = statistics.median(step.ms for step in steps)
    pairs = zip(ours, plain, strict=True)
    return Spread.of([100.0 * (a.ms - b.ms) / whole for a, b in pairs])
