"""Measure DropBlock: speed, memory and correctness, beside what others offer.

Prints tables in Markdown, with a PASS or FAIL for each promise, and saves them with
the environment as JSON, and a figure. Peers that are not installed are skipped with a
line. docs/en/benchmark.md says how it measures.

Examples::

    python -m tools.dev.benchmark            # all, on the CPU
    python -m tools.dev.benchmark --only op memory
    python -m tools.dev.benchmark --device cuda --check
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# Read when torch is loaded: the profiler would report on itself.
os.environ.setdefault('KINETO_LOG_LEVEL', '99')
os.environ.setdefault('TORCH_CPP_LOG_LEVEL', 'ERROR')

import torch

from dropblock_mm.analysis import machine
from tools.dev.benchmark import (
    compiled,
    cuda,
    figure,
    growth,
    keep_rate,
    memory,
    op,
    page,
    report,
    timing,
    training_step,
)
from tools.dev.benchmark.report import Section
from tools.dev.benchmark.settings import Settings, make_settings

SCHEMA = 1
SECTIONS: dict[str, Callable[[Settings], Section]] = {
    'op': op.run,
    'block_size': growth.run_block_size,
    'scaling': growth.run_scaling,
    'memory': memory.run,
    'training_step': training_step.run,
    'keep_rate': keep_rate.run,
    'compile': compiled.run,
    'cuda': cuda.run,
}
OUT = Path('work_dirs/benchmark/benchmark.json')


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--only',
        nargs='+',
        choices=SECTIONS,
        default=list(SECTIONS),
        metavar='SECTION',
        help=f'some of {", ".join(SECTIONS)}',
    )
    parser.add_argument('--device', choices=('cpu', 'cuda'), default='cpu')
    parser.add_argument(
        '--threads',
        type=positive,
        default=min(2, machine.available_cores()),
        help='of torch, on the CPU (%(default)s: all cores, but at most 2)',
    )
    parser.add_argument(
        '--repeats', type=positive, help='samples of each pair of calls (41)'
    )
    parser.add_argument(
        '--allocator',
        choices=('retain', 'system'),
        default='retain',
        help='whether malloc keeps freed pages or works as it does (%(default)s)',
    )
    parser.add_argument('--out', type=Path, default=OUT, help='JSON file (%(default)s)')
    parser.add_argument(
        '--docs',
        nargs='?',
        type=Path,
        const=machine.ROOT / 'docs/en/benchmark.md',
        metavar='PAGE',
        help='put the results into a page, by default that of the documentation',
    )
    parser.add_argument(
        '--check', action='store_true', help='exit with 1 unless all gates pass'
    )
    parser.add_argument(
        '--quick', action='store_true', help='seconds, figures that mean nothing'
    )
    args = parser.parse_args(argv)
    if args.docs and args.quick:
        parser.error('--docs with --quick: the figures of a quick run mean nothing.')
    return args


def positive(text: str) -> int:
    """Read a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is not a whole number above 0')
    return int(text)


def measure(name: str, settings: Settings) -> Section:
    """Run one section, with the same random numbers every time."""
    torch.manual_seed(0)
    if settings.device == 'cuda' and not torch.cuda.is_available():
        return Section(name, name, not_run='no CUDA device')
    start = time.perf_counter()
    section = SECTIONS[name](settings)
    section.seconds = time.perf_counter() - start
    return section


def save(path: Path, args: argparse.Namespace, found: dict[str, Any]) -> None:
    """Write what was found so far as JSON."""
    arguments = {key: str(value) for key, value in vars(args).items()}
    content = {'schema': SCHEMA, 'arguments': arguments, **found}
    text = json.dumps(report.jsonable(content), indent=1, allow_nan=False)
    path.write_text(f'{text}\n')


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, save."""
    args = parse_args(argv)
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


if __name__ == '__main__':
    main()
