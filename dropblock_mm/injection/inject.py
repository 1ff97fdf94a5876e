"""Attach DropBlock2d layers to a built model, and detach them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.injection.input_hooks import DropIdentity, DropInput, layer_of
from dropblock_mm.injection.places import Place
from dropblock_mm.injection.sites import Site, find_places
from dropblock_mm.injection.targets import Target, parse_targets
from dropblock_mm.layers import DropBlock2d


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
    """Take layers out again; the model is as it was before.

    Args:
        sites: What :func:`inject_drop_block` returned, or some of it.
    """
    for site in sites:
        owner, place = site.place.owner, site.place
        delattr(owner, place.child_name)
        if place.slot is not None:
            setattr(owner, place.slot, None)
            continue
        for module in (owner, place.after, place.branch):
            if module is not None:  # an empty Sequential is an identity, and false
                _remove_hooks(module, site.layer)


def _remove_hooks(module: nn.Module, layer: DropBlock2d) -> None:
    for hooks in (module._forward_hooks, module._forward_pre_hooks):
        for key, hook in list(hooks.items()):
            if layer_of(hook) is layer:
                del hooks[key]


def _build_layer(target: Target, owner: nn.Module) -> DropBlock2d:
    """Build the layer on the owner's device and in the owner's mode."""
    layer = DropBlock2d(
        keep_prob=target.keep_prob,
        block_size=target.block_size,
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
    elif place.adds_input:
        place.owner.register_forward_hook(DropInput(site.layer))
    elif place.branch is not None:
        hooks = DropIdentity(site.layer)
        place.owner.register_forward_pre_hook(hooks.drop)
        place.branch.register_forward_pre_hook(hooks.give_back)
        place.owner.register_forward_hook(hooks.forget)


def _check_no_site_twice(sites: Sequence[Site]) -> None:
    claimed: dict[tuple[int, str], str] = {}
    named: dict[tuple[int, str], tuple[int, str]] = {}
    for site in sites:
        place, key = site.place, site.target.key
        other = claimed.setdefault(place.key, key)
        if other != key or _is_attached(place):
            earlier = other if other != key else 'an earlier injection'
            raise RefusedValueError(
                f'{key}.module={site.target.module!r} names {site.module} '
                f'({place.name}), which has DropBlock from {earlier} already. Name '
                'each site once: narrow one of the two targets, or remove the '
                'second hook.'
            )
        child = (id(place.owner), place.child_name)
        if named.setdefault(child, place.key) != place.key:
            raise RefusedValueError(
                f'{site.module} ({type(place.owner).__name__}) has two places named '
                f'{place.name!r}. Give each place of a block a name of its own.'
            )


def _is_attached(place: Place) -> bool:
    child = getattr(place.owner, place.child_name, None)
    return isinstance(child, DropBlock2d)
