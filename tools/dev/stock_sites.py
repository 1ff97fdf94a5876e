"""Tries every config of a library: which parts of its models have sites."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.analysis.sites.stock_models import (
    StockConfig,
    backbones_of,
    builder,
    key_of,
    without,
)
from dropblock_mm.injection.refusals import why_no_site
from dropblock_mm.injection.walk import walk
from tools.dev.kept_findings import KeptFindings

# What does not change which kinds of part a model has.
COSMETIC = ('init_cfg', 'pretrained', 'train_cfg', 'test_cfg', 'depth', 'num_classes')
# A second network that makes the targets of the first, of weights from the internet.
TEACHERS = ('target_generator',)
Found = Sequence[Any]  # of a module: its sites, those on skip connections, why none


class Tally:
    """What was found for one kind of part: a row of a table.

    Args:
        configs: Number of configs that have it.
        counts: (sites, skip connections) of each distinct setting of it.
        reason: Why the last setting that has no site has none.
    """

    def __init__(self) -> None:
        self.configs = 0
        self.counts: dict[str, tuple[int, int]] = {}
        self.reason = ''

    def add(self, key: str, found: Found) -> bool:
        """Count the sites of a setting, if it is new, and tell whether it has any."""
        sites, shortcuts, reason = found
        self.counts.setdefault(key, (sites, shortcuts))
        self.reason = reason or self.reason
        return sites > 0

    def result(self) -> str:
        """Say how many of the settings are served, and why the others are not."""
        served = sum(sites > 0 for sites, _ in self.counts.values())
        if served == len(self.counts):
            return 'served'
        told = f'served, {len(self.counts) - served} not' if served else 'no site'
        return f'{told}: {self.reason}'


def look_at(module: nn.Module) -> Found:
    """Count the sites of a module."""
    places = [place for _, place in walk(module) if place.kind != 'branch']
    shortcuts = sum(place.kind == 'shortcut' for place in places)
    # The page has a narrow column: without examples and explanations.
    reason = re.split(r'[.:]|, (?:not|of|such) ', why_no_site([module]))[0]
    return [len(places), shortcuts, '' if places else reason]


def find_all(
    configs: Sequence[StockConfig], kept: KeptFindings
) -> tuple[dict[str, Any], Counter[str]]:
    """Try every config.

    Args:
        configs: Of a part of the page.
        kept: What was found before.

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
    for stock in configs:
        outcome = _try_backbones(stock, tables['backbones'], kept)
        tables['results'][outcome if outcome in ('served', 'refused') else 'other'] += 1
        if outcome not in ('served', 'refused'):
            problems[outcome] += 1
    seen: set[str] = set()
    for stock in configs:
        key = key_of(without(stock.model, COSMETIC))
        if stock.model is not None and key not in seen:
            seen.add(key)
            _try_parts(stock, tables['parts'], kept)
    return tables, problems


def _try_backbones(
    stock: StockConfig, tallies: Mapping[Any, Tally], kept: KeptFindings
) -> str:
    """Tally the backbones of a config; say 'served', 'refused', or what is wrong."""
    if stock.problem:
        return reason_of(stock.problem, 'MMEngine does not read it')
    backbones = [without(config) for _, config in backbones_of(stock.model or {})]
    if not backbones:
        return 'there is no backbone in it'
    outcomes = []
    for config in backbones:
        key = key_of([stock.package, config])
        found = kept.get(key, partial(_backbone_found, stock.package, config))
        if isinstance(found, str):
            return found
        tally = tallies[stock.package, config['type']]
        outcomes.append(tally.add(key, found))
    tally.configs += 1
    return 'served' if any(outcomes) else 'refused'


def _backbone_found(package: str, config: Mapping[str, Any]) -> Found | str:
    model = build_or_say(package, config)
    return model if isinstance(model, str) else look_at(model)


def _try_parts(
    stock: StockConfig, tallies: Mapping[Any, Tally], kept: KeptFindings
) -> None:
    """Tally the necks and heads of a model that can be built."""
    config = without(stock.model, TEACHERS)
    key = key_of(['parts', stock.package, config])
    for kind, setting, found in kept.get(
        key, lambda: list(_parts_found(stock.package, config))
    ):
        tally = tallies[stock.package, kind]
        tally.configs += 1
        tally.add(setting, found)


def _parts_found(package: str, config: Any) -> Iterator[tuple[str, str, Found]]:
    model = build_or_say(package, config or {})
    for part in () if isinstance(model, str) else parts_of(model):
        setting = hashlib.sha256(str(part).encode()).hexdigest()[:24]
        yield type(part).__name__, setting, look_at(part)


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


def reason_of(problem: str, summary: str = '') -> str:
    """Put an exception in words that hold on any machine."""
    kind, _, text = problem.partition(': ')
    if kind == 'FileNotFoundError':
        return 'it names a file that does not exist'
    if 'install' in text or kind == 'ImportError':
        return 'it needs a package that is in neither stack'
    if summary:
        return f'{summary} ({kind})'
    return f'{kind}: ' + ' '.join(text.split())[:90].rstrip()
