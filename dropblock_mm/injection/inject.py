"""Attach DropBlock2d layers to a built model, and detach them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from dropblock_mm.injection.sites import Place, Site, find_places
from dropblock_mm.injection.targets import Target, parse_targets
from dropblock_mm.models.layers import DropBlock2d


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

    Every residual block and conv-norm-activation unit beneath a target becomes
    a site: after each conv-norm and on the skip connection. The layers have
    no parameters and no entry in the state_dict.

    Args:
        model: A built model; wrappers around it do not show in the paths.
        targets: Dicts with ``module`` (a dotted path, or a regular expression that
            matches whole paths) and, optionally, any of the arguments below.
        keep_prob: Probability of keeping a unit, in [0, 1]; None keeps every unit
            until a schedule sets it.
        block_size: Side of the dropped square, in units of the feature map.
        where: 'conv', 'shortcut' or 'both'.
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
    defaults = {
        'keep_prob': keep_prob,
        'block_size': block_size,
        'where': where,
        'gamma_scale': gamma_scale,
        'calibrated': calibrated,
        'shared_mask': shared_mask,
    }
    return inject_targets(model, parse_targets(targets, defaults))


def inject_targets(model: nn.Module, targets: Sequence[Target]) -> list[Site]:
    """Do :func:`inject_drop_block` for targets that are checked already."""
    sites = [
        Site(path, place, target, _build_layer(target, place.owner))
        for target in targets
        for path, place in find_places(model, target)
    ]
    _check_no_site_twice(sites)
    for site in sites:
        _attach(site)
    return sites


def detach_drop_block(sites: Sequence[Site]) -> None:
    """Take the layers of ``sites`` out again; the model is as it was before."""
    for site in sites:
        owner, place = site.place.owner, site.place
        delattr(owner, place.child_name)
        if place.after is None:
            setattr(owner, place.child_name, None)
            continue
        hooks = place.after._forward_hooks
        for key, hook in list(hooks.items()):
            if getattr(hook, '__self__', None) is site.layer:
                del hooks[key]


def _build_layer(target: Target, owner: nn.Module) -> DropBlock2d:
    """Build the layer on the owner's device and in the owner's mode."""
    layer = DropBlock2d(
        target.keep_prob,
        target.block_size,
        gamma_scale=target.gamma_scale,
        calibrated=target.calibrated,
        shared_mask=target.shared_mask,
    ).train(owner.training)
    layer.target = target.module
    tensor = next(itertools.chain(owner.parameters(), owner.buffers()), None)
    return layer if tensor is None else layer.to(tensor.device)


def _attach(site: Site) -> None:
    place = site.place
    setattr(place.owner, place.child_name, site.layer)
    if place.after is not None:
        place.after.register_forward_hook(site.layer.apply_to_output)


def _check_no_site_twice(sites: Sequence[Site]) -> None:
    claimed: dict[tuple[int, str], str] = {}
    for site in sites:
        place, key = site.place, site.target.key
        identity = (id(place.owner), place.name)
        other = claimed.setdefault(identity, key)
        if other != key or _is_attached(place):
            earlier = other if other != key else 'an earlier injection'
            raise ValueError(
                f'{key}.module={site.target.module!r} names {site.module} '
                f'({place.name}), which has DropBlock from {earlier} already. Name '
                'each site once: narrow one of the two targets, or remove the '
                'second hook.'
            )


def _is_attached(place: Place) -> bool:
    child = getattr(place.owner, place.child_name, None)
    return isinstance(child, DropBlock2d)
