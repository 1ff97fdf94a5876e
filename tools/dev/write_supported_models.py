"""Try every config of the libraries, and write what is served and what is not.

Every distinct backbone, and every distinct model for its necks and heads, is built on
torch's meta device and searched for sites. That takes minutes of processor time;
what was found is kept in .cache, so that the same command goes on where it was stopped.
The tests run the backbones; this writes the table.

Example::

    python -m tools.dev.write_supported_models
    python -m tools.dev.write_supported_models --only mmpretrain  # a part of the page
"""

from __future__ import annotations

import argparse
import importlib
import logging
import re
import warnings
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.analysis.sites.stock_models import StockConfig, stock_configs
from tools.dev import stock_sites
from tools.dev.kept_findings import KeptFindings, digest_of
from tools.dev.stock_sites import Tally, find_all

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / 'docs/en/supported_models.md'
KEPT = ROOT / '.cache/supported_models'
# The parts of the page, and the libraries in each.
GROUPS = {'mmdet and mmseg': ('mmdet', 'mmseg'), 'mmpretrain': ('mmpretrain',)}
TOP = """# Supported models

Every config that comes with the libraries: what a target finds that names its backbone,
and one that names a neck or a head. Written by

```shell
python -m tools.dev.write_supported_models
```

which builds every distinct model without weights and looks for sites. That the layers
at these sites run, and that checkpoints, evaluation and gradients are as they should
be, is what `make test-all` tests on every distinct backbone.

What a site is, and how to name it, is in the [guide](guide.md#targets). For necks and
heads, `configs` counts models that differ in more than depth and losses. Many a head
has no site for good reasons: linear layers have no feature maps, and what consists of
plain `nn.Conv2d` mostly predicts. The reasons are short here; whoever names such a part
in a target is told more, and what to do.
"""
HEADER = """
## {title}

Of the {total} configs of {versions} {served} have a backbone with sites, {refused} one
without, and {other} could not be tried; the reasons are at the end of this part.
"""

Row = tuple[str, ...]


def make_part(title: str, configs: Sequence[StockConfig], kept: KeptFindings) -> str:
    """Write the part of the page about some libraries."""
    tables, problems = find_all(configs, kept)
    results = tables['results']
    versions = ' and '.join(
        f'{name} {importlib.import_module(name).__version__}' for name in GROUPS[title]
    )
    text = HEADER.format(
        title=title,
        versions=versions,
        total=len(configs),
        **{name: results[name] for name in ('served', 'refused', 'other')},
    )
    head = ('library', 'type', 'configs', 'settings', 'sites', 'on skip connections')
    for heading, name in (('Backbones', 'backbones'), ('Necks and heads', 'parts')):
        rows = [row_of(key, tally) for key, tally in sorted(tables[name].items())]
        text += f'\n### {heading}\n\n' + table((*head, 'result'), rows)
    if not problems:
        return text
    text += '\n### Not tried\n\n'
    rows = [(str(count), reason) for reason, count in problems.most_common()]
    return text + table(('configs', 'reason'), rows)


def row_of(key: tuple[str, str], tally: Tally) -> Row:
    """Return a row: what is served, or why not."""
    sites, shortcuts = zip(*tally.counts.values(), strict=True)
    numbers = (tally.configs, len(tally.counts))
    return (*key, *map(str, numbers), span(sites), span(shortcuts), tally.result())


def span(numbers: Sequence[int]) -> str:
    """Return '3' or '3-7'."""
    low, high = min(numbers), max(numbers)
    # A hyphen at which no line is broken, in a narrow column.
    return str(low) if low == high else f'{low}\u2011{high}'


def table(head: Row, rows: Sequence[Row]) -> str:
    """Return a Markdown table."""
    lines = [head, ('---',) * len(head), *rows]
    return ''.join(f'| {" | ".join(line)} |\n' for line in lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description='Write the page of supported models')
    parser.add_argument('--out', type=Path, default=PAGE, help='default: %(default)s')
    parser.add_argument(
        '--only', choices=GROUPS, help='keep the other parts of the page as they are'
    )
    parser.add_argument(
        '--kept', type=Path, default=KEPT, help='what was found; default: %(default)s'
    )
    args = parser.parse_args(argv)
    warnings.simplefilter('ignore')
    logging.disable(logging.WARNING)
    parts = parts_of_page(args.out.read_text()) if args.only else {}
    for title, packages in GROUPS.items():
        if args.only in (None, title):
            configs = [c for package in packages for c in stock_configs(package)]
            kept = KeptFindings(args.kept / f'{title}.jsonl', state_of(packages))
            parts[title] = make_part(title, configs, kept)
            print(f'{title}: {len(configs)} configs')
    args.out.write_text(TOP + ''.join(parts[title] for title in GROUPS))
    print(f'wrote {args.out}')


def state_of(packages: Sequence[str]) -> str:
    """Return what the findings depend on: versions, and the code that finds sites."""
    versions = [importlib.import_module(n).__version__ for n in (*packages, 'torch')]
    code = [ROOT / 'dropblock_mm/injection', ROOT / 'dropblock_mm/analysis/sites']
    tools = [Path(__file__), Path(stock_sites.__file__)]
    return ' '.join([*versions, digest_of([*code, *tools])])


def parts_of_page(text: str) -> dict[str, str]:
    """Return the parts of a page by their titles."""
    _, *parts = re.split(r'(?=\n## )', text)
    return {part.splitlines()[1].removeprefix('## '): part for part in parts}


if __name__ == '__main__':
    main()
