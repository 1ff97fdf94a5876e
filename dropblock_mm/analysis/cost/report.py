"""What was found of each config, and the tables of it in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from dropblock_mm.analysis.cost.gpus import GPUS
from dropblock_mm.analysis.cost.loading import Loading
from dropblock_mm.analysis.cost.step import Step
from dropblock_mm.analysis.cost.workload import Workload
from dropblock_mm.tables_md import markdown_table


@dataclass(frozen=True)
class Estimate:
    """What is known of one config.

    Args:
        gpu_hours: By GPU; on a GPU the measured one, otherwise estimates.
        loading: None if it was not measured.
    """

    config: str
    size: tuple[int, int]
    workload: Workload
    step: Step
    gpu_hours: dict[str, float]
    loading: Loading | None


def cost_table(found: Sequence[Estimate]) -> str:
    """Return what training costs, as Markdown."""
    gpus = list(found[0].gpu_hours)
    headings = ['config', 'images', 'size', 'TFLOP an image', 'EFLOP', *gpus]
    rows = [
        [
            short_name(e.config),
            f'{e.workload.images / 1e6:.2f} M',
            f'{e.size[0]} x {e.size[1]}',
            f'{e.step.tflop:.3f}',
            f'{e.workload.images * e.step.tflop / 1e6:.2f}',
            *(f'{e.gpu_hours[gpu]:.3g}' for gpu in gpus),
        ]
        for e in found
    ]
    return markdown_table(headings, rows)


def step_table(found: Sequence[Estimate], device: str) -> str:
    """Return what was timed on this machine, as Markdown."""
    headings = [
        'config',
        'sites',
        'batch',
        's a step',
        'core s a step',
        'loaded a core s',
    ]
    rows = [
        [
            short_name(e.config),
            str(e.step.sites),
            str(e.step.batch_size),
            f'{e.step.seconds:.3g}',
            f'{e.step.core_seconds:.3g}',
            f'{e.loading.images_per_second:.3g}' if e.loading else 'not measured',
        ]
        for e in found
    ]
    if device == 'cuda':
        headings.append('GiB')
        for row, e in zip(rows, found, strict=True):
            row.append(f'{e.step.memory_gib:.1f}')
    return markdown_table(headings, rows)


def workers_table(found: Sequence[Estimate]) -> str:
    """Return the workers that one GPU needs so as not to wait, as Markdown."""
    gpus = list(found[0].gpu_hours)
    rows = [
        [
            short_name(e.config),
            *(
                f'{e.workload.images / 3600 / hours / e.loading.images_per_second:.1f}'
                for hours in e.gpu_hours.values()
            ),
        ]
        for e in found
        if e.loading
    ]
    return markdown_table(['config', *gpus], rows)


def short_name(config: str) -> str:
    """Return the name without folder and ending."""
    return Path(config.rpartition('::')[2]).stem


def rates_table(names: Sequence[str]) -> str:
    """Return what is assumed of the GPUs, as Markdown."""
    headings = ['GPU', 'peak TFLOPS', 'ResNet-50 images a s', 'TFLOPS', 'of the peak']
    rows = [
        [
            name,
            f'{gpu.peak_tflops:g}',
            f'{gpu.resnet50:g}',
            f'{gpu.sustained_tflops:.1f}',
            f'{gpu.utilisation:.0%}',
        ]
        for name, gpu in ((name, GPUS[name]) for name in names)
    ]
    table = markdown_table(headings, rows)
    return f'Assumed: each GPU sustains what it did in training ResNet-50:\n\n{table}'


def markdown(found: Sequence[Estimate], device: str, gpus: Sequence[str]) -> str:
    """Return all tables.

    Args:
        found: At least one estimate.
        device: Where the steps were timed, 'cpu' or 'cuda'.
        gpus: Names of the GPUs whose rates the estimates took, if any.
    """
    kind = 'measured' if device == 'cuda' else 'estimated'
    parts = [rates_table(gpus)] if gpus and device == 'cpu' else []
    parts += [
        f'GPU hours of the whole training, {kind}:',
        cost_table(found),
        f'On this machine ({device}, threads: {torch.get_num_threads()}):',
        step_table(found, device),
    ]
    if any(e.loading for e in found):
        parts += ['Cores that must load images for one GPU:', workers_table(found)]
    return '\n\n'.join(parts)
