"""The report of all sites that is logged when training starts."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from dropblock_mm.injection.sites import Site


def format_sites(sites: Sequence[Site]) -> str:
    """Return a table of the sites: module, place, block size, gamma scale.

    A site whose owner has no parameter to train is marked as frozen.

    Args:
        sites: What :func:`~dropblock_mm.inject_drop_block` returned.
    """
    table = Table(box=SIMPLE_HEAD, title=f'DropBlock at {len(sites)} sites')
    table.title_justify = 'left'
    for header in ('module', 'place', 'block_size', 'gamma_scale', 'options'):
        table.add_column(header, no_wrap=True)
    for site in sites:
        table.add_row(
            site.module,
            site.place.name,
            str(site.layer.block_size),
            f'{site.layer.gamma_scale:g}',
            _options(site),
        )
    # A log file has no width; rich would cut the table to the terminal's.
    console = Console(width=200, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return '\n'.join(line.rstrip() for line in capture.get().splitlines())


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
