"""Attach layers to a built model, and detach them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.injection.paths import match_modules
from dropblock_mm.injection.places import Place
from dropblock_mm.injection.refusals import (
    display_name,
    no_site_message,
    refuse_traced,
)
from dropblock_mm.injection.sites import Site, find_places
from dropblock_mm.injection.targets import Defaults, Target, parse_targets
from dropblock_mm.layers import ScheduledDrop


def inject(
    model: nn.Module,
    targets: Sequence[Mapping[str, Any]],
    *,
    layer: str | type[ScheduledDrop] = 'DropBlock2d',
    keep_prob: float | None = None,
    where: str | None = None,
    **options: Any,
) -> list[Site]:
    """Attach a layer to every site that the targets name.

    Every place of the blocks beneath a target becomes a site. The layers have no
    parameters and no entry in the state_dict.

    Args:
        model: A built model; wrappers around it do not show in the paths.
        targets: Dicts with ``module`` (a dotted path, or a regular expression that
            matches whole paths) and, optionally, ``layer``, ``keep_prob``, ``where``,
            ``grows_with_depth`` (of n blocks, the i-th gets i / n of the drop rate)
            and the options of the layer.
        layer: What to attach: the name of a layer of this package or of yours, or a
            class that derives from :class:`~dropblock_mm.ScheduledDrop`.
        keep_prob: Probability of keeping a unit, in [0, 1]; None keeps every unit
            until a schedule sets it.
        where: 'conv', 'shortcut', 'both' or 'branch'; None is where the layer usually
            goes.
        **options: Options of the layer, for the targets that name no other.

    Returns:
        list[Site]: The sites, in the order of the targets and of the model.

    Raises:
        TypeError: If an argument has a wrong type or a target an unknown key.
        ValueError: If a value is outside its range, or a target names no module,
            no site, or a site that has a layer already. The model is unchanged.

    Examples:
        >>> sites = inject(                     # doctest: +SKIP
        ...     model, [dict(module='backbone.layer4')], layer='DropPath',
        ...     keep_prob=0.9)
    """
    shared = Defaults(layer, keep_prob, where, options, 'inject')
    return inject_targets(model, parse_targets(targets, shared))


def inject_drop_block(
    model: nn.Module,
    targets: Sequence[Mapping[str, Any]],
    *,
    keep_prob: float | None = None,
    block_size: int = 7,
    where: str = 'both',
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    shared_mask: bool = False,
) -> list[Site]:
    """Attach a DropBlock2d layer to every site that the targets name.

    Every place of the blocks beneath a target becomes a site: after each conv-norm,
    and on the skip connection. The layers have no parameters and no entry in the
    state_dict.

    Args:
        model: A built model; wrappers around it do not show in the paths.
        targets: Dicts with ``module`` (a dotted path, or a regular expression that
            matches whole paths) and, optionally, any of the arguments below.
        keep_prob: Probability of keeping a unit, in [0, 1]; None keeps every unit
            until a schedule sets it.
        block_size: Side of the dropped square, in units of the feature map.
        where: 'conv', 'shortcut', 'both' or 'branch'.
        gamma_scale: Factor on gamma (0.25 for the paper's group 3).
        calibrated: Solve for the gamma that exactly reaches keep_prob.
        shared_mask: Use one mask for all channels of an image.

    Returns:
        list[Site]: The sites, in the order of the targets and of the model.

    Raises:
        TypeError: If an argument has a wrong type or a target an unknown key.
        ValueError: If a value is outside its range, or a target names no module,
            no site, or a site that has DropBlock already. The model is unchanged.

    Examples:
        >>> sites = inject_drop_block(          # doctest: +SKIP
        ...     model, [dict(module='backbone.layer4')], keep_prob=0.9, block_size=7)
    """
    return inject(
        model,
        targets,
        keep_prob=keep_prob,
        where=where,
        block_size=block_size,
        gamma_scale=gamma_scale,
        calibrated=calibrated,
        shared_mask=shared_mask,
    )


def inject_targets(model: nn.Module, targets: Sequence[Target]) -> list[Site]:
    """Do :func:`inject` for targets that are checked already."""
    planned = [plan for target in targets for plan in _plan(model, target)]
    _check_no_site_twice(planned)
    return [plan.carry_out() for plan in planned]


def detach(sites: Sequence[Site]) -> None:
    """Take layers out again; the model is as it was before.

    Args:
        sites: What :func:`inject` or :func:`inject_drop_block` returned, or some of
            it.
    """
    for site in sites:
        site.undo()


detach_drop_block = detach


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
            has = display_name(other.layer if other is not target else type(held))
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
