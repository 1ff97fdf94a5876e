"""Try every config of the libraries, and write what is served and what is not.

Every distinct backbone, and every distinct model for its necks and heads, is built on
torch's meta device and searched for sites. That takes about ten minutes. The tests
run the backbones; this writes the table.

Example::

    python tools/dev/write_supported_models.py
    python tools/dev/write_supported_models.py --only mmpretrain  # a part of the page
"""

from __future__ import annotations

import argparse
import importlib
import logging
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.analysis.sites.stock_models import (
    StockConfig,
    backbones_of,
    builder,
    key_of,
    stock_configs,
    without,
)
from dropblock_mm.injection.refusals import why_no_site
from dropblock_mm.injection.walk import walk

PAGE = Path(__file__).resolve().parents[2] / 'docs/en/supported_models.md'
# What does not change which kinds of part a model has.
COSMETIC = ('init_cfg', 'pretrained', 'train_cfg', 'test_cfg', 'depth', 'num_classes')
# The parts of the page, and the libraries in each.
GROUPS = {'mmdet and mmseg': ('mmdet', 'mmseg'), 'mmpretrain': ('mmpretrain',)}
TOP = """# Supported models

Every config that comes with the libraries: what a target finds that names its backbone,
and one that names a neck or a head. Written by

```shell
python tools/dev/write_supported_models.py
```

which builds every distinct model without weights and looks for sites. That the layers
at these sites run, and that checkpoints, evaluation and gradients are as they should
be, is what `make test-all` tests on every distinct backbone.

What a site is, and how to name it, is in the [guide](guide.md#targets). For necks and
heads, `configs` counts models that differ in more than depth and losses. Many a head
has no site for good reasons: linear layers have no feature maps, and what consists of
plain `nn.Conv2d` mostly predicts.
"""
HEADER = """
## {title}

Of the {total} configs of {versions} {served} have a backbone with sites, {refused} one
without, and {other} could not be tried; the reasons are at the end of this part.
"""

Row = tuple[str, ...]


class Tally:
    """What was found for one kind of part: a row of a table.

    Args:
        configs: Number of configs that have it.
        settings: Distinct settings of it.
        counts: (sites, skip connections) of each setting.
        reason: Why it has no site.
    """

    def __init__(self) -> None:
        self.configs = 0
        self.settings: set[str] = set()
        self.counts: list[tuple[int, int]] = []
        self.reason = ''

    def add(self, key: str, module: nn.Module) -> None:
        """Count the sites of a setting that was not seen before."""
        if key in self.settings:
            return
        self.settings.add(key)
        places = [place for _, place in walk(module) if place.kind != 'branch']
        shortcuts = sum(place.kind == 'shortcut' for place in places)
        self.counts.append((len(places), shortcuts))
        if not places:
            self.reason = why_no_site([module])

    @property
    def served(self) -> bool:
        """Whether there is a site."""
        return any(sites for sites, _ in self.counts)


def find_all(configs: Sequence[StockConfig]) -> tuple[dict[str, Any], Counter[str]]:
    """Try every config.

    Returns:
        tuple: Tallies by kind of table and (package, class), and for the configs
        that could not be tried, how many there are for each reason.
    """
    tables: dict[str, Any] = {
        'backbones': defaultdict(Tally),
        'parts': defaultdict(Tally),
        'results': Counter(),
    }
    problems: Counter[str] = Counter()
    built: dict[str, nn.Module | str] = {}
    for stock in configs:
        outcome = _try_backbones(stock, tables['backbones'], built)
        tables['results'][outcome if outcome in ('served', 'refused') else 'other'] += 1
        if outcome not in ('served', 'refused'):
            problems[outcome] += 1
    seen: set[str] = set()
    for stock in configs:
        key = key_of(without(stock.model, COSMETIC))
        if stock.model is not None and key not in seen:
            seen.add(key)
            _try_parts(stock, tables['parts'])
    return tables, problems


def _try_backbones(
    stock: StockConfig, tallies: Mapping[Any, Tally], built: dict[str, Any]
) -> str:
    """Tally the backbones of a config; say 'served', 'refused', or what is wrong."""
    if stock.problem:
        return reason_of(stock.problem)
    backbones = [without(config) for _, config in backbones_of(stock.model or {})]
    if not backbones:
        return 'there is no backbone in it'
    outcomes = []
    for config in backbones:
        key = key_of([stock.package, config])
        if key not in built:
            built[key] = build_or_say(stock.package, config)
        model = built[key]
        if isinstance(model, str):
            return model
        tally = tallies[stock.package, config['type']]
        tally.add(key, model)
        outcomes.append(tally.served)
    tally.configs += 1
    return 'served' if any(outcomes) else 'refused'


def _try_parts(stock: StockConfig, tallies: Mapping[Any, Tally]) -> None:
    """Tally the necks and heads of a model that can be built."""
    model = build_or_say(stock.package, stock.model or {})
    if isinstance(model, str):
        return
    for part in parts_of(model):
        key = key_of([str(part)])
        tally = tallies[stock.package, type(part).__name__]
        tally.configs += 1
        tally.add(key, part)


def parts_of(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the necks and heads of a model, those of a two-stage detector too."""
    for name, part in model.named_children():
        if not re.search(r'head|neck|^\d+$', name):
            continue
        if name == 'roi_head' or isinstance(part, (nn.ModuleList, nn.Sequential)):
            yield from parts_of(part)
        else:
            yield part


def build_or_say(package: str, config: Mapping[str, Any]) -> nn.Module | str:
    """Build on the meta device, or return what prevents it."""
    try:
        return build_on_meta(builder(package, config))
    except Exception as error:  # whatever a model of someone else's may raise
        return reason_of(f'{type(error).__name__}: {error}')


def reason_of(problem: str) -> str:
    """Put an exception in words that hold on any machine."""
    kind, _, text = problem.partition(': ')
    if kind == 'FileNotFoundError':
        return 'it names a file that does not exist'
    if 'install' in text or kind == 'ImportError':
        return 'it needs a package that is in neither stack'
    return f'{kind}: ' + ' '.join(text.split())[:90]


def make_part(title: str, configs: Sequence[StockConfig]) -> str:
    """Write the part of the page about some libraries."""
    tables, problems = find_all(configs)
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
    sites, shortcuts = zip(*tally.counts, strict=True)
    result = 'served' if tally.served else f'no site: {tally.reason.rstrip(".")}'
    numbers = (tally.configs, len(tally.settings))
    return (*key, *map(str, numbers), span(sites), span(shortcuts), result)


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
    args = parser.parse_args(argv)
    warnings.simplefilter('ignore')
    logging.disable(logging.WARNING)
    parts = parts_of_page(args.out.read_text()) if args.only else {}
    for title, packages in GROUPS.items():
        if args.only in (None, title):
            configs = [c for package in packages for c in stock_configs(package)]
            parts[title] = make_part(title, configs)
            print(f'{title}: {len(configs)} configs')
    args.out.write_text(TOP + ''.join(parts[title] for title in GROUPS))
    print(f'wrote {args.out}')


def parts_of_page(text: str) -> dict[str, str]:
    """Return the parts of a page by their titles."""
    _, *parts = re.split(r'(?=\n## )', text)
    return {part.splitlines()[1].removeprefix('## '): part for part in parts}


if __name__ == '__main__':
    main()
