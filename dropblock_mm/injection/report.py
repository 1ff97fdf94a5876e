"""Tables of sites, and of what they do on their maps."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.utils.hooks import RemovableHandle

from dropblock_mm.layers import ScheduledDrop
from dropblock_mm.layers.schedules import KeepProbCurve

if TYPE_CHECKING:
    from dropblock_mm.injection.sites import Site

_NAMED = 6  # sites, in a warning
MapSize = tuple[int, ...]
Rows = list[tuple[str, ...]]
# What is known of a site beside its settings: cells, one tuple for each row of it.
More = Callable[['Site'], Sequence[Sequence[str]]]


def format_sites(sites: Sequence[Site]) -> str:
    """Return a table of the sites: module, place, and the settings of the layer.

    The layer has a column where there are several kinds. A site whose owner has no
    parameter to train is marked as frozen, or as averaged in a copy that follows the
    weights of the model, as a momentum encoder.

    Args:
        sites: What :func:`~dropblock_mm.inject` returned.
    """
    return format_table(title_of(sites), *rows_of(sites))


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


def _default_of(layer: ScheduledDrop, option: str) -> Any:
    """Return the default of an option of a layer's constructor, '' if there is none."""
    parameter = inspect.signature(type(layer).__init__).parameters.get(option)
    has_one = parameter is not None and parameter.default is not parameter.empty
    return parameter.default if has_one and parameter is not None else ''


def _shown(layer: ScheduledDrop, option: str) -> str:
    value = layer.settings().get(option, _default_of(layer, option))
    return f'{value:g}' if isinstance(value, float) else str(value)


def _options(site: Site) -> str:
    """Name what departs from the defaults: the weights, an own keep_prob, the flags."""
    keep_prob = site.layer.final_keep_prob
    parts = ['averaged'] if site.averaged else ['frozen'] if site.frozen else []
    if keep_prob is not None:
        parts.append(f'keep_prob {keep_prob:g}')
    flags = site.layer.settings().items()
    return ', '.join([*parts, *(name for name, value in flags if value is True)])


@dataclass
class FirstMaps:
    """The sizes of the maps that a model's sites see in a forward pass.

    Args:
        sites: The sites.
    """

    sites: Sequence[Site]
    sizes: list[list[MapSize]] = field(default_factory=list)  # (C, H, W) of each site
    _handles: list[RemovableHandle] = field(default_factory=list)

    def watch(self) -> None:
        """Look on, until :meth:`stop`."""
        self.sizes = [[] for _ in self.sites]
        for site, seen in zip(self.sites, self.sizes, strict=True):
            self._handles.append(site.place.way.watch(_noting(seen)))

    def stop(self) -> None:
        """Leave the model as it was."""
        while self._handles:
            self._handles.pop().remove()


def _noting(seen: list[MapSize]) -> Callable[[Any], None]:
    def note(value: Any) -> None:
        if isinstance(value, Tensor) and value.dim() > 2:
            size = tuple(map(int, value.shape[1:]))
            if size not in seen:
                seen.append(size)

    return note


@dataclass(frozen=True)
class Line:
    """What a site does on maps of one size, at a given rate.

    Args:
        site: The site.
        size: (C, H, W) of the map.
        keep_rate: Exact expected share of units that are kept; None if the layer does
            not tell.
        facts: What else the layer says of itself.
    """

    site: Site
    size: MapSize
    keep_rate: float | None
    facts: dict[str, Any]


def lines_of(
    maps: FirstMaps, keep_prob_of: Callable[[ScheduledDrop], float]
) -> list[list[Line]]:
    """Return what each site does on each size of map that it saw.

    Args:
        maps: What was seen.
        keep_prob_of: Returns the rate that is asked about.
    """
    return [
        [_line(site, size, keep_prob_of(site.layer)) for size in sizes]
        for site, sizes in zip(maps.sites, maps.sizes, strict=True)
    ]


def _line(site: Site, size: MapSize, keep_prob: float) -> Line:
    try:
        rate = site.layer.expected_keep_rate(keep_prob, size[1:])
    except NotImplementedError:
        return Line(site, size, None, {})
    return Line(site, size, rate, site.layer.facts(keep_prob, size[1:]))


def format_lines(title: str, sites: Sequence[Site], lines: list[list[Line]]) -> str:
    """Return a table of sites with their maps, as :func:`lines_of` found them."""
    facts = dict.fromkeys(
        name
        for line in itertools.chain(*lines)
        for name, value in line.facts.items()
        if not isinstance(value, bool)
    )
    of_site = {id(site): found for site, found in zip(sites, lines, strict=True)}

    def cells(site: Site) -> list[tuple[str, ...]]:
        return [
            (
                ' x '.join(map(str, line.size)),
                *(_short(line.facts.get(name)) for name in facts),
                _short(line.keep_rate, '.4f'),
            )
            for line in of_site[id(site)]
        ] or [('not reached', *('' for _ in facts), '')]

    return format_table(title, *rows_of(sites, ('map', *facts, 'keeps'), cells))


def _short(value: Any, form: str = '.3g') -> str:
    if value is None:
        return ''
    return format(value, form) if isinstance(value, float) else str(value)


def covering_warning(lines: list[list[Line]]) -> str:
    """Say where a block covers its map; '' if it does nowhere."""
    found = [
        next((line for line in of_site if line.facts.get('covers_map')), None)
        for of_site in lines
    ]
    covered = [line for line in found if line is not None]
    if not covered:
        return ''
    names = ', '.join(
        f'{line.site.module} ({line.site.place.name}, '
        f'{" x ".join(map(str, line.size[1:]))})'
        for line in covered[:_NAMED]
    )
    more = f' and {len(covered) - _NAMED} more' if len(covered) > _NAMED else ''
    dropped = sorted({f'{1 - (line.keep_rate or 0.0):.0%}' for line in covered})
    return (
        f'The block covers the map at {len(covered)} of {len(lines)} sites, and '
        f'drops whole channels there, {" or ".join(dropped)} of them at the end of '
        f'training: {names}{more}. Give these a target of their own with a smaller '
        'block_size or a keep_prob nearer to 1, leave them out, or train with larger '
        'images.'
    )


def idle_warning(sites: Sequence[Site]) -> str:
    """Name the sites whose layer has seen nothing; '' if there is none."""
    idle = [site for site in sites if not site.layer.seen_units]
    if not idle:
        return ''
    names = ', '.join(f'{site.module} ({site.place.name})' for site in idle[:_NAMED])
    more = f' and {len(idle) - _NAMED} more' if len(idle) > _NAMED else ''
    frozen = sum(not site.layer.training for site in idle)
    kinds = dict.fromkeys(site.layer.display_name() for site in idle)
    return (
        f'{" and ".join(kinds)} did nothing at {len(idle)} of {len(sites)} '
        f'sites in the first iteration: {names}{more}. {frozen} of them are in '
        'eval mode, as in a stage that frozen_stages freezes; the rest were not '
        'called.'
    )


def tell_of_maps(
    maps: FirstMaps, curve: KeepProbCurve | None, last: int
) -> tuple[str, str]:
    """Return a table of what the layers do at the end of training, and a warning.

    Args:
        maps: Those of the first iteration.
        curve: The schedule of the training, if it has one.
        last: Number of its last iteration.
    """

    def final_keep_prob(layer: ScheduledDrop) -> float:
        own = layer.final_keep_prob
        if curve is not None and curve.interval is not None:
            return curve.keep_prob_at(last, own)
        return 1.0 if own is None else own

    lines = lines_of(maps, final_keep_prob)
    title = (
        f'{title_of(maps.sites)}: {_in_words(curve, last)}. Maps of the first '
        'iteration; what is kept of them, and gamma, are those at the end of training.'
    )
    return format_lines(title, maps.sites, lines), covering_warning(lines)


def _in_words(curve: KeepProbCurve | None, last: int) -> str:
    """Say how keep_prob moves in a training, whose last iteration is given."""
    if curve is None or curve.interval is None:
        return 'constant keep_prob, without a schedule'
    begin, end = curve.interval.begin, curve.interval.end
    moves = f'keep_prob {curve.start_keep_prob:g} -> {curve.keep_prob:g}'
    when = f'iterations {begin:,} to {end:,}' + (f' of {last:,}' if end < last else '')
    return f'{moves}, {curve.schedule}, {when}'
