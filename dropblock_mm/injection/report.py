"""The report of all sites that is logged when training starts."""

from __future__ import annotations

from collections.abc import Sequence

from dropblock_mm.injection.sites import Site


def format_sites(sites: Sequence[Site]) -> str:
    """Return a table of the sites: module, place, block size, gamma scale.

    A site whose owner has no parameter to train is marked as frozen.

    Args:
        sites: What :func:`~dropblock_mm.inject_drop_block` returned.
    """
    header = ('module', 'place', 'block_size', 'gamma_scale', 'options')
    rows = [
        (
            site.module,
            site.place.name,
            str(site.layer.block_size),
            f'{site.layer.gamma_scale:g}',
            _options(site),
        )
        for site in sites
    ]
    return f'DropBlock at {len(sites)} sites\n\n{_table(header, rows)}'


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
    for name in ('calibrated', 'shared_mask'):
        if getattr(site.layer, name):
            parts.append(name)
    return ', '.join(parts)
