"""Measures what the command line asks for, prints and saves it."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Read when torch is loaded: the profiler would report on itself.
os.environ.setdefault('KINETO_LOG_LEVEL', '99')
os.environ.setdefault('TORCH_CPP_LOG_LEVEL', 'ERROR')

import torch

from dropblock_mm.analysis import machine
from tools.dev.benchmark import figure, page, report, timing
from tools.dev.benchmark.arguments import SECTIONS
from tools.dev.benchmark.report import Section
from tools.dev.benchmark.settings import Settings, make_settings

SCHEMA = 1


def run(args: argparse.Namespace) -> None:
    """Measure, print, save."""
    try:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        if args.docs:
            page.check(args.docs)
    except (OSError, ValueError) as error:
        sys.exit(f'benchmark_drop_block: {error}')
    torch.set_num_threads(args.threads)
    retained = args.allocator == 'retain' and timing.retain_pages()
    settings = make_settings(args.device, quick=args.quick, repeats=args.repeats)
    environment = machine.describe(
        args.device, 'malloc keeps freed pages' if retained else "malloc's defaults"
    )
    environment['samples of each pair'] = str(settings.repeats)
    if args.quick:
        environment['note'] = 'a quick run, whose figures mean nothing'
    sections: list[Section] = []
    texts = [report.environment_table(environment)]
    print(texts[0], flush=True)
    for name in args.only:
        sections.append(measure(name, settings))
        texts.append(sections[-1].markdown())
        print(f'\n{texts[-1]}', flush=True)
        found = {'environment': environment, 'sections': sections}
        save(args.out, args, {'settings': settings, **found})
    texts.append(report.summary(sections))
    print(f'\n{texts[-1]}\n\nwrote {args.out}')
    publish(args, environment, sections, '\n\n'.join(texts))
    if args.check and not report.is_good(sections):
        sys.exit(1)


def measure(name: str, settings: Settings) -> Section:
    """Run one section, with the same random numbers every time."""
    torch.manual_seed(0)
    if settings.device == 'cuda' and not torch.cuda.is_available():
        return Section(name, name, not_run='no CUDA device')
    start = time.perf_counter()
    module, function = SECTIONS[name]
    measuring = importlib.import_module(f'tools.dev.benchmark.{module}')
    section: Section = getattr(measuring, function)(settings)
    section.seconds = time.perf_counter() - start
    return section


def save(path: Path, args: argparse.Namespace, found: dict[str, Any]) -> None:
    """Write what was found so far as JSON."""
    arguments = {key: str(value) for key, value in vars(args).items()}
    content = {'schema': SCHEMA, 'arguments': arguments, **found}
    text = json.dumps(report.jsonable(content), indent=1, allow_nan=False)
    path.write_text(f'{text}\n')


def publish(
    args: argparse.Namespace,
    environment: dict[str, str],
    sections: Sequence[Section],
    text: str,
) -> None:
    """Draw the figure, and put text and figure into a page if one is named."""
    pictures = [args.out.with_suffix('.png')]
    if args.docs:
        page.replace(args.docs, text)
        print(f'wrote {args.docs}')
        pictures.append(args.docs.parent / page.PICTURE)
    measured = [s for s in sections if s.name == 'op' and s.tables]
    if not measured:
        print('no figure: it needs the section op')
        return
    subtitle = f'{environment["cpu"]}, threads: {environment["threads"]}'
    if args.device == 'cuda':
        subtitle = environment['device']
    for picture in pictures:
        picture.parent.mkdir(parents=True, exist_ok=True)
        figure.save(measured[0].tables[0].rows, subtitle, picture)
        print(f'wrote {picture}')
