"""The sites of a model: planned, and attached."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex, overload

from torch import nn
from torch.fx import GraphModule

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.injection.averages import paths_of_copies, refuse_half_of_a_pair
from dropblock_mm.injection.places import Place, Undo
from dropblock_mm.injection.refusals import no_match_message, no_site_message
from dropblock_mm.injection.report import format_sites, rows_of, title_of
from dropblock_mm.injection.targets import Target
from dropblock_mm.injection.walk import is_beneath, named_modules, walk
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
        averaged: Whether the owner is in a copy that the model averages itself into,
            such as a momentum encoder.
    """

    module: str
    place: Place
    target: Target
    layer: ScheduledDrop
    undo: Undo
    averaged: bool = False

    @property
    def frozen(self) -> bool:
        """Whether the owner has parameters, and they stay what they are."""
        if self.averaged:
            return False
        parameters = list(self.place.owner.parameters())
        return bool(parameters) and not any(p.requires_grad for p in parameters)

    def __repr__(self) -> str:
        """Leave out the block, which may be large."""
        return f'Site({self.module!r}, {self.place.name!r}, {self.layer!r})'


class Sites(list[Site]):
    """A list of sites that shows as a table, in a console and in a notebook."""

    def __repr__(self) -> str:
        """Return the table of :func:`format_sites`."""
        return format_sites(self)

    def _repr_html_(self) -> str:
        header, rows = rows_of(self)
        lines = [_html_row('th', header), *(_html_row('td', row) for row in rows)]
        table = ''.join(lines) if rows else ''
        return f'<p>{html.escape(title_of(self))}</p><table>{table}</table>'

    @overload
    def __getitem__(self, index: SupportsIndex) -> Site: ...

    @overload
    def __getitem__(self, index: slice) -> Sites: ...

    def __getitem__(self, index: Any) -> Any:
        """Return a site, or some of them with the same way of showing."""
        found = super().__getitem__(index)
        return Sites(found) if isinstance(index, slice) else found


def _html_row(tag: str, cells: Sequence[str]) -> str:
    return f'<tr>{"".join(f"<{tag}>{html.escape(c)}</{tag}>" for c in cells)}</tr>'


def inject_targets(model: nn.Module, targets: Sequence[Target]) -> Sites:
    """Do :func:`~dropblock_mm.inject` for targets that are checked already."""
    planned = [plan for target in targets for plan in _plan(model, target)]
    _check_no_site_twice(planned)
    copies: list[str] = []
    if any(hasattr(part, 'update_parameters') for part in model.modules()):
        found = [(plan.module, plan.place) for plan in planned]
        refuse_half_of_a_pair(model, found, targets[0].key)
        copies = paths_of_copies(model)
    return Sites(plan.carry_out(is_beneath(plan.module, copies)) for plan in planned)


@dataclass(frozen=True)
class _Plan:
    """A site before its layer is attached."""

    module: str
    place: Place
    target: Target
    depth: float  # share of the target's blocks up to this one

    def carry_out(self, averaged: bool) -> Site:
        """Attach a layer, on the owner's device and in the owner's mode."""
        owner = self.place.owner
        layer = self.target.build().train(owner.training)
        if self.target.grows_with_depth:
            layer.drop_scale *= self.depth
        tensor = next(itertools.chain(owner.parameters(), owner.buffers()), None)
        if tensor is not None:
            layer = layer.to(tensor.device)
        undo = self.place.way.attach(layer)
        return Site(self.module, self.place, self.target, layer, undo, averaged)


def _plan(model: nn.Module, target: Target) -> list[_Plan]:
    """Find a target's sites, and how deep each is among its blocks.

    Raises:
        ValueError: If the target names no module, or none with such a place.
    """
    matches = _match_modules(model, target.module, f'{target.key}.module')
    _refuse_traced(model, target, matches)
    found = _find_places(model, target, matches)
    if not found:
        raise RefusedValueError(no_site_message(model, target, matches))
    blocks = [*dict.fromkeys(path for path, _ in found)]
    return [
        _Plan(path, place, target, (blocks.index(path) + 1) / len(blocks))
        for path, place in found
    ]


def _match_modules(model: nn.Module, named: str, key: str) -> dict[str, nn.Module]:
    """Return the modules that a target names, by dotted path.

    Args:
        model: The model.
        named: A dotted path, or a regular expression that matches whole paths.
        key: Where the user gave it, for messages.

    Raises:
        ValueError: If it names none, or is not a regular expression.
    """
    modules = dict(named_modules(model))
    if named in modules:
        return {named: modules[named]}
    try:
        pattern = re.compile(named)
    except re.error as error:
        raise RefusedValueError(
            f'{key}={named!r} is neither the path of a module '
            f'nor a regular expression: {error}.'
        ) from error
    matches = {name: m for name, m in modules.items() if pattern.fullmatch(name)}
    if not matches:
        message = no_match_message(named, key, modules, type(model).__name__)
        raise RefusedValueError(message)
    return matches


def _find_places(
    model: nn.Module, target: Target, matches: Mapping[str, nn.Module]
) -> list[tuple[str, Place]]:
    """Return (dotted path of the owner, place) for every place a target names.

    Where the places are does not depend on the target: it selects from those of the
    whole model.

    Args:
        model: The model.
        target: Says which kinds of place.
        matches: The modules that the target names, by dotted path.
    """
    return [
        (path, place)
        for path, place in walk(model)
        if place.kind in target.kinds and is_beneath(path, matches)
    ]


def _refuse_traced(
    model: nn.Module, target: Target, matches: Mapping[str, nn.Module]
) -> None:
    """Raise if a target is in a traced graph, or has one in it.

    Raises:
        ValueError: There are no blocks in it, only the modules that they called.
    """
    for path, module in named_modules(model):
        concerns = is_beneath(path, matches) or any(
            is_beneath(name, [path]) for name in matches
        )
        if concerns and isinstance(module, GraphModule):
            raise RefusedValueError(
                f'{target.key}.module={target.module!r}: {path or "the model"} is a '
                'traced graph (torch.fx.GraphModule). It has no blocks any more: what '
                'was in their forward, such as the sum of a residual block, is in the '
                'graph, and containers such as a projection are not called, so sites '
                'cannot be seen. Inject before tracing; the layers are then traced '
                'with the model.'
            )


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


def named_groups(layers: Sequence[ScheduledDrop]) -> dict[str, list[ScheduledDrop]]:
    """Group layers by target, under names that any logger takes.

    A target's name is its path, or what is readable of its regular expression; the
    layer and a number are added where two targets would have the same.
    """
    groups: dict[tuple[Any, ...], list[ScheduledDrop]] = {}
    for layer in layers:
        key = (layer.target, type(layer), layer.final_keep_prob)
        groups.setdefault(key, []).append(layer)
    short = [readable_name(target) for target, *_ in groups]
    names: list[str] = []
    for (_, kind, _), name in zip(groups, short, strict=True):
        full = name if short.count(name) == 1 else f'{name}.{kind.__name__}'
        numbered = [full, *(f'{full}_{n}' for n in range(2, len(groups) + 2))]
        names.append(next(n for n in numbered if n not in names))
    return dict(zip(names, groups.values(), strict=True))


def readable_name(target: str | None) -> str:
    r"""Turn a target's ``module`` into letters, digits and ``_.-``.

    Loggers take names for paths and refuse what regular expressions are made of.
    There is no slash in it: mmdet's analyze_logs.py takes such names for metrics.

    Examples:
        >>> readable_name('backbone.layer[34]')
        'backbone.layer_34'
        >>> readable_name(r'bbox_head\.(cls|reg)_convs')
        'bbox_head.cls_reg_convs'
    """
    if target is None:
        return 'plugins'
    text = re.sub(r'[^A-Za-z0-9_.-]+', '_', target.replace('\\.', '.'))
    text = re.sub(r'_*\.[_.]*', '.', re.sub('_+', '_', text))
    return text.strip('_.-') or 'model'
