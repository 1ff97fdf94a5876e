"""Tables of sites, as text and for notebooks."""

from __future__ import annotations

import html
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dropblock_mm.layers import ScheduledDrop

if TYPE_CHECKING:
    from dropblock_mm.injection.sites import Site

Rows = list[tuple[str, ...]]
# What is known of a site beside its settings: cells, one tuple for each row of it.
More = Callable[['Site'], Sequence[Sequence[str]]]


def format_sites(sites: Sequence[Site]) -> str:
    """Return a table of the sites: module, place, and the settings of the layer.

    The layer has a column where there are several kinds. A site whose owner has no
    parameter to train is marked as frozen.

    Args:
        sites: What :func:`~dropblock_mm.inject` returned.
    """
    return format_table(title_of(sites), *rows_of(sites))


def html_of(sites: Sequence[Site]) -> str:
    """Return the table of :func:`format_sites` for a notebook."""
    header, rows = rows_of(sites)
    lines = [_html_row('th', header), *(_html_row('td', row) for row in rows)]
    table = ''.join(lines) if rows else ''
    return f'<p>{html.escape(title_of(sites))}</p><table>{table}</table>'


def title_of(sites: Sequence[Site]) -> str:
    """Return what is at how many sites, such as 'DropBlock at 12 sites'."""
    kinds = dict.fromkeys(site.layer.display_name() for site in sites)
    where = f'{len(sites)} site{"" if len(sites) == 1 else "s"}'
    return f'{" and ".join(kinds)} at {where}' if sites else 'no sites'


def rows_of(
    sites: Sequence[Site], names: Sequence[str] = (), more: More = lambda site: [()]
) -> tuple[tuple[str, ...], Rows]:
    """Return the header and the rows of a table.

    Args:
        sites: What is in it.
        names: Of the columns between the settings and the options.
        more: What is in them; a site has as many rows as it returns.
    """
    several = len({site.layer.display_name() for site in sites}) > 1
    columns = [
        *dict.fromkeys(
            name
            for site in sites
            for name, value in site.layer.settings().items()
            if not isinstance(value, bool)
        )
    ]
    kind = ['layer'] if several else []
    header = ('module', 'place', *kind, *columns, *names, 'options')
    rows = [
        (
            site.module,
            site.place.name,
            *([type(site.layer).__name__] if several else []),
            *(_shown(site.layer, column) for column in columns),
            *cells,
            _options(site),
        )
        for site in sites
        for cells in more(site)
    ]
    return header, rows


def format_table(
    title: str, header: Sequence[str], rows: Sequence[Sequence[str]]
) -> str:
    """Set rows in columns, whatever their width: a log file has none."""
    if not rows:
        return title
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        '   '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in (header, *rows)
    ]
    rule = ' ' + '─' * (sum(widths) + 3 * len(widths) - 1)
    head, *body = (f'  {line}'.rstrip() for line in lines)
    return '\n'.join([title, '', head, rule, *body])


def _html_row(tag: str, cells: Sequence[str]) -> str:
    return f'<tr>{"".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells)}</tr>'


def _default_of(layer: ScheduledDrop, option: str) -> Any:
    """Return the default of an option of a layer's constructor, '' if there is none."""
    parameter = inspect.signature(type(layer).__init__).parameters.get(option)
    has_one = parameter is not None and parameter.default is not parameter.empty
    return parameter.default if has_one and parameter is not None else ''


def _shown(layer: ScheduledDrop, option: str) -> str:
    value = layer.settings().get(option, _default_of(layer, option))
    return f'{value:g}' if isinstance(value, float) else str(value)


def _options(site: Site) -> str:
    """Name what departs from the defaults: frozen, an own keep_prob, the flags."""
    keep_prob = site.layer.final_keep_prob
    parts = ['frozen'] if site.frozen else []
    if keep_prob is not None:
        parts.append(f'keep_prob {keep_prob:g}')
    flags = site.layer.settings().items()
    return ', '.join([*parts, *(name for name, value in flags if value is True)])
