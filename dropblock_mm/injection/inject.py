"""The public functions: attach layers to a built model, and detach them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import nn

from dropblock_mm.injection.auto import targets_in
from dropblock_mm.injection.sites import Site, Sites, inject_targets
from dropblock_mm.injection.targets import Defaults
from dropblock_mm.layers import ScheduledDrop


def inject(
    model: nn.Module,
    targets: Sequence[Mapping[str, Any]] | Literal['auto'],
    *,
    layer: str | type[ScheduledDrop] = 'DropBlock2d',
    keep_prob: float | None = None,
    where: str | None = None,
    **options: Any,
) -> Sites:
    """Attach a layer to every site that the targets name.

    Every place of the blocks beneath a target becomes a site. The layers have no
    parameters and no entry in the state_dict.

    Args:
        model: A built model; wrappers around it do not show in the paths.
        targets: Dicts with ``module`` (a dotted path, or a regular expression that
            matches whole paths) and, optionally, ``layer``, ``keep_prob``, ``where``,
            ``grows_with_depth`` (of n blocks, the i-th gets i / n of the drop rate)
            and the options of the layer. Or 'auto': the last two stages of the
            backbone, the earlier one at a quarter of the drop rate.
        layer: What to attach: the name of a layer of this package or of yours, or a
            class that derives from :class:`~dropblock_mm.ScheduledDrop`.
        keep_prob: Probability of keeping a unit, in [0, 1]; None keeps every unit
            until a schedule sets it.
        where: 'conv', 'shortcut', 'both' or 'branch'; None is where the layer usually
            goes.
        **options: Options of the layer, for the targets that name no other.

    Returns:
        Sites: A list of the sites, in the order of the targets and of the model. It
        shows as a table.

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
    return inject_targets(model, targets_in(model, targets, shared))


def inject_drop_block(
    model: nn.Module,
    targets: Sequence[Mapping[str, Any]] | Literal['auto'],
    *,
    keep_prob: float | None = None,
    block_size: int = 7,
    where: str = 'both',
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    shared_mask: bool = False,
) -> Sites:
    """Attach a DropBlock2d layer to every site that the targets name.

    Every place of the blocks beneath a target becomes a site: after each conv-norm,
    and on the skip connection. The layers have no parameters and no entry in the
    state_dict.

    Args:
        model: A built model; wrappers around it do not show in the paths.
        targets: Dicts with ``module`` (a dotted path, or a regular expression that
            matches whole paths) and, optionally, any of the arguments below. Or
            'auto': the last two stages of the backbone, the earlier one at a quarter
            of gamma, as in the paper's ResNet.
        keep_prob: Probability of keeping a unit, in [0, 1]; None keeps every unit
            until a schedule sets it.
        block_size: Side of the dropped square, in units of the feature map.
        where: 'conv', 'shortcut', 'both' or 'branch'.
        gamma_scale: Factor on gamma (0.25 for the paper's group 3).
        calibrated: Solve for the gamma that exactly reaches keep_prob.
        shared_mask: Use one mask for all channels of an image.

    Returns:
        Sites: A list of the sites, in the order of the targets and of the model. It
        shows as a table.

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


def detach(sites: Sequence[Site]) -> None:
    """Take layers out again; the model is as it was before.

    Args:
        sites: What :func:`inject` or :func:`inject_drop_block` returned, or some of
            it.
    """
    for site in sites:
        site.undo()


detach_drop_block = detach
