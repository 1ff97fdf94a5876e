"""The table of sites in a training's log: what each layer does on its maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmengine.runner import Runner
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from dropblock_mm.injection import Site
from dropblock_mm.injection.report import format_table, rows_of, title_of
from dropblock_mm.layers.schedules import KeepProbCurve

_SHOWN = 6  # sites that a warning names
MapSize = tuple[int, ...]


@dataclass
class FirstMaps:
    """The sizes of the maps that a model's sites see in one iteration.

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
    """What a site does on maps of one size, at the end of the schedule.

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


def lines_of(maps: FirstMaps, runner: Runner) -> list[list[Line]]:
    """Return what each site does on each size of map that it saw."""
    return [
        [_line(site, size, final_keep_prob(site, runner)) for size in sizes]
        for site, sizes in zip(maps.sites, maps.sizes, strict=True)
    ]


def _line(site: Site, size: MapSize, keep_prob: float) -> Line:
    try:
        rate = site.layer.expected_keep_rate(keep_prob, size[1:])
    except NotImplementedError:
        return Line(site, size, None, {})
    return Line(site, size, rate, site.layer.facts(keep_prob, size[1:]))


def final_keep_prob(site: Site, runner: Runner) -> float:
    """Return a layer's keep_prob in the last iteration of a training."""
    own, curve = site.layer.final_keep_prob, _curve_of(runner)
    if curve is not None and curve.interval is not None:
        return curve.keep_prob_at(runner.train_loop.max_iters - 1, own)
    return 1.0 if own is None else own


def schedule_of(runner: Runner) -> str:
    """Return the schedule of a training in words."""
    curve = _curve_of(runner)
    if curve is None or curve.interval is None:
        return 'constant keep_prob, without a schedule'
    begin, end = curve.interval.begin, curve.interval.end
    last = runner.train_loop.max_iters - 1
    moves = f'keep_prob {curve.start_keep_prob:g} -> {curve.keep_prob:g}'
    when = f'iterations {begin:,} to {end:,}' + (f' of {last:,}' if end < last else '')
    return f'{moves}, {curve.schedule}, {when}'


def _curve_of(runner: Runner) -> KeepProbCurve | None:
    return next((h for h in runner.hooks if isinstance(h, KeepProbCurve)), None)


def table_of(maps: FirstMaps, runner: Runner) -> str:
    """Return the sites with the maps of an iteration, and the schedule above them."""
    lines = {
        id(s): found
        for s, found in zip(maps.sites, lines_of(maps, runner), strict=True)
    }
    every = [line for found in lines.values() for line in found]
    facts = dict.fromkeys(
        name
        for line in every
        for name, value in line.facts.items()
        if not isinstance(value, bool)
    )

    def cells(site: Site) -> list[tuple[str, ...]]:
        return [
            (
                ' x '.join(map(str, line.size)),
                *(_short(line.facts.get(name)) for name in facts),
                _short(line.keep_rate, '.4f'),
            )
            for line in lines[id(site)]
        ] or [('not reached', *('' for _ in facts), '')]

    title = (
        f'{title_of(maps.sites)}: {schedule_of(runner)}. Maps of the first iteration; '
        'what is kept of them, and gamma, are those at the end of training.'
    )
    return format_table(title, *rows_of(maps.sites, ('map', *facts, 'keeps'), cells))


def _short(value: Any, form: str = '.3g') -> str:
    return (
        ''
        if value is None
        else format(value, form)
        if isinstance(value, float)
        else str(value)
    )


def covering_warning(maps: FirstMaps, runner: Runner) -> str:
    """Say where a block covers its map; '' if it does nowhere."""
    found = [
        next((line for line in lines if line.facts.get('covers_map')), None)
        for lines in lines_of(maps, runner)
    ]
    covered = [line for line in found if line is not None]
    if not covered:
        return ''
    names = ', '.join(
        f'{line.site.module} ({line.site.place.name}, '
        f'{" x ".join(map(str, line.size[1:]))})'
        for line in covered[:_SHOWN]
    )
    more = f' and {len(covered) - _SHOWN} more' if len(covered) > _SHOWN else ''
    dropped = sorted({f'{1 - (line.keep_rate or 0.0):.0%}' for line in covered})
    return (
        f'The block covers the map at {len(covered)} of {len(maps.sites)} sites, and '
        f'drops whole channels there, {" or ".join(dropped)} of them at the end of '
        f'training: {names}{more}. Give these a target of their own with a smaller '
        'block_size or a keep_prob nearer to 1, leave them out, or train with larger '
        'images.'
    )
