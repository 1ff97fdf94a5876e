"""The sites of a model: planned, attached, and reported."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.injection.places import Place
from dropblock_mm.injection.refusals import no_site_message
from dropblock_mm.injection.targets import Target
from dropblock_mm.injection.walk import find_places, match_modules, refuse_traced
from dropblock_mm.injection.ways import Undo
from dropblock_mm.layers import ScheduledDrop


@dataclass(frozen=True)
class Site:
    """A place with its layer, as attached to a model.

    Args:
        module: Dotted path of the place's owner.
        place: The place.
        target: The target that asked for it.
        layer: The layer that works there.
        undo: Takes the layer out again.
    """

    module: str
    place: Place
    target: Target
    layer: ScheduledDrop
    undo: Undo

    @property
    def frozen(self) -> bool:
        """Whether the owner has parameters and none of them is trained."""
        parameters = list(self.place.owner.parameters())
        return bool(parameters) and not any(p.requires_grad for p in parameters)


def inject_targets(model: nn.Module, targets: Sequence[Target]) -> list[Site]:
    """Do :func:`~dropblock_mm.inject` for targets that are checked already."""
    planned = [plan for target in targets for plan in _plan(model, target)]
    _check_no_site_twice(planned)
    return [plan.carry_out() for plan in planned]


@dataclass(frozen=True)
class _Plan:
    """A site before its layer is attached."""

    module: str
    place: Place
    target: Target
    depth: float  # share of the target's blocks up to this one

    def carry_out(self) -> Site:
        """Attach a layer, on the owner's device and in the owner's mode."""
        owner = self.place.owner
        layer = self.target.build().train(owner.training)
        if self.target.grows_with_depth:
            layer.drop_scale *= self.depth
        tensor = next(itertools.chain(owner.parameters(), owner.buffers()), None)
        if tensor is not None:
            layer = layer.to(tensor.device)
        undo = self.place.way.attach(layer)
        return Site(self.module, self.place, self.target, layer, undo)


def _plan(model: nn.Module, target: Target) -> list[_Plan]:
    """Find a target's sites, and how deep each is among its blocks.

    Raises:
        ValueError: If the target names no module, or none with such a place.
    """
    matches = match_modules(model, target.module, f'{target.key}.module')
    refuse_traced(model, target, matches)
    found = find_places(model, target, matches)
    if not found:
        raise RefusedValueError(no_site_message(model, target, matches))
    blocks = [*dict.fromkeys(path for path, _ in found)]
    return [
        _Plan(path, place, target, (blocks.index(path) + 1) / len(blocks))
        for path, place in found
    ]


def _check_no_site_twice(planned: Sequence[_Plan]) -> None:
    claimed: dict[tuple[int, str, bool], Target] = {}
    named: dict[tuple[int, str], Place] = {}
    for plan in planned:
        place, target = plan.place, plan.target
        other = claimed.setdefault(place.key, target)
        if other is not target or place.is_taken:
            held: Any = getattr(place.owner, place.way.child, None)
            earlier = other.key if other is not target else 'an earlier injection'
            has = (other.layer if other is not target else held).display_name()
            raise RefusedValueError(
                f'{target.key}.module={target.module!r} names {plan.module} '
                f'({place.name}), which has {has} from {earlier} already. Name '
                'each site once: narrow one of the two targets, or remove the '
                'second hook.'
            )
        child = (id(place.owner), place.way.child)
        if named.setdefault(child, place).key != place.key:
            raise RefusedValueError(
                f'{plan.module} ({type(place.owner).__name__}) has two places named '
                f'{place.name!r}. Give each place of a block a name of its own.'
            )


def format_sites(sites: Sequence[Site]) -> str:
    """Return a table of the sites: module, place, and the settings of the layer.

    The layer has a column where there are several kinds. A site whose owner has no
    parameter to train is marked as frozen.

    Args:
        sites: What :func:`~dropblock_mm.inject` returned.
    """
    kinds = [*dict.fromkeys(site.layer.display_name() for site in sites)]
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


def _default_of(layer: ScheduledDrop, option: str) -> Any:
    """Return the default of an option of a layer's constructor, '' if there is none."""
    parameter = inspect.signature(type(layer).__init__).parameters.get(option)
    has_one = parameter is not None and parameter.default is not parameter.empty
    return parameter.default if has_one and parameter is not None else ''


def _shown(layer: ScheduledDrop, option: str) -> str:
    value = layer.settings().get(option, _default_of(layer, option))
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
