"""The report of all sites that is logged when training starts."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from dropblock_mm.injection.refusals import display_name
from dropblock_mm.injection.sites import Site
from dropblock_mm.layers import ScheduledDrop


def format_sites(sites: Sequence[Site]) -> str:
    """Return a table of the sites: module, place, and the settings of the layer.

    The layer has a column where there are several kinds. A site whose owner has no
    parameter to train is marked as frozen.

    Args:
        sites: What :func:`~dropblock_mm.inject` returned.
    """
    kinds = [*dict.fromkeys(display_name(type(site.layer)) for site in sites)]
    columns = [
        *dict.fromkeys(
            name
            for site in sites
            for name, value in site.layer.settings().items()
            if not isinstance(value, bool)
        )
    ]
    several = len(kinds) > 1
    header = ('module', 'place', *(['layer'] if several else []), *columns, 'options')
    rows = [
        (
            site.module,
            site.place.name,
            *([type(site.layer).__name__] if several else []),
            *(_shown(site.layer, column) for column in columns),
            _options(site),
        )
        for site in sites
    ]
    return f'{" and ".join(kinds)} at {len(sites)} sites\n\n{_table(header, rows)}'


def default_of(layer: ScheduledDrop, option: str) -> Any:
    """Return the default of an option of a layer's constructor, '' if there is none."""
    parameter = inspect.signature(type(layer).__init__).parameters.get(option)
    has_one = parameter is not None and parameter.default is not parameter.empty
    return parameter.default if has_one and parameter is not None else ''


def _shown(layer: ScheduledDrop, option: str) -> str:
    value = layer.settings().get(option, default_of(layer, option))
    return f'{value:g}' if isinstance(value, float) else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Set rows in columns, whatever their width: a log file has none."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        '   '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (header, *rows)
    ]
    rule = ' ' + '─' * (sum(widths) + 3 * len(widths) - 1)
    head, *body = (f'  {line}'.rstrip() for line in lines)
    return '\n'.join([head, rule, *body])


def _options(site: Site) -> str:
    """Name what departs from the defaults: frozen, an own keep_prob, the flags."""
    keep_prob = site.layer.final_keep_prob
    parts = ['frozen'] if site.frozen else []
    if keep_prob is not None:
        parts.append(f'keep_prob {keep_prob:g}')
    flags = site.layer.settings().items()
    return ', '.join([*parts, *(name for name, value in flags if value is True)])
