"""The hook that injects DropBlock into a model before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import BaseLoop, Runner

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.hooks.keep_rates import log_keep_rate, take_counts
from dropblock_mm.hooks.refusals import names_the_hook
from dropblock_mm.hooks.schedule_hook import KeepProbScheduleHook
from dropblock_mm.injection import (
    Site,
    Target,
    format_sites,
    inject_targets,
    parse_targets,
)
from dropblock_mm.layers import DropBlock2d
from dropblock_mm.ops.arguments import names_unknown_arguments
from dropblock_mm.registry import HOOKS


@HOOKS.register_module()
class DropBlockInjectionHook(Hook):
    """Attach DropBlock to the model and log what it really keeps.

    Before training it attaches a :class:`~dropblock_mm.DropBlock2d` to every site
    of the targets and logs a report of them. At every iteration it logs
    ``effective_keep_rate``, over all targets, and
    ``effective_keep_rate/<target>``: the share of units that were kept.

    It runs before ``EMAHook``, which copies the model: layers that enter only the
    original would shift the copy's buffers against it.

    Args:
        targets: Dicts with ``module`` (a dotted path, or a regular expression that
            matches whole paths) and, optionally, any of the arguments below,
            for this target alone.
        block_size: Side of the dropped square, in units of the feature map.
        keep_prob: Probability of keeping a unit, in [0, 1]. None leaves it to
            ``KeepProbScheduleHook``; with that hook, a target's own keep_prob is
            the value at which the schedule ends there.
        where: 'conv' (after each conv-norm), 'shortcut' (on the skip connection
            of residual blocks) or 'both', as in the paper.
        gamma_scale: Factor on gamma (0.25 for the paper's group 3).
        calibrated: Solve for the gamma whose exact expected keep rate is
            keep_prob, instead of equation 1, which keeps more.
        shared_mask: Use one mask for all channels of an image.

    Raises:
        TypeError: If an argument has a wrong type or an unknown name.
        ValueError: If a value is outside its range. Before training also if a
            target names no module, no site, or a site that is taken.

    Examples:
        >>> custom_hooks = [  # the paper's ResNet
        ...     dict(type='dropblock_mm.DropBlockInjectionHook', block_size=7,
        ...          targets=[dict(module='backbone.layer3', gamma_scale=0.25),
        ...                   dict(module='backbone.layer4')]),
        ...     dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9)]
    """

    priority = 'VERY_HIGH'

    @names_the_hook
    @names_unknown_arguments
    def __init__(
        self,
        targets: Sequence[Mapping[str, Any]],
        block_size: int = 7,
        keep_prob: float | None = None,
        where: str = 'both',
        gamma_scale: float = 1.0,
        calibrated: bool = False,
        shared_mask: bool = False,
    ) -> None:
        defaults = {
            'block_size': block_size,
            'keep_prob': keep_prob,
            'where': where,
            'gamma_scale': gamma_scale,
            'calibrated': calibrated,
            'shared_mask': shared_mask,
        }
        self.targets = parse_targets(targets, defaults)
        self.sites: list[Site] = []
        self._watched: list[Site] = []
        self._checked_reach = False

    def before_run(self, runner: Runner) -> None:
        """Inject, if this run trains and the model is not injected yet."""
        # before_run is called for val and test too, where DropBlock does nothing.
        trains = isinstance(runner._train_loop, BaseLoop)
        if not trains or self.sites:
            return
        _check_ema_comes_later(runner)
        _check_rates_are_set(self.targets, runner)
        self.sites = inject_targets(runner.model, self.targets)
        runner.logger.info(format_sites(self.sites))

    def before_train(self, runner: Runner) -> None:
        """Decide what to log, and warn if all ranks would draw the same masks."""
        # Of several injection hooks the first watches the sites of all: a layer is
        # counted once, and the total is one number.
        hooks = [h for h in runner.hooks if isinstance(h, DropBlockInjectionHook)]
        if hooks[0] is self:
            self._watched = [site for hook in hooks for site in hook.sites]
            _warn_if_masks_repeat(runner)

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Log the effective keep rate of this iteration."""
        if not self._checked_reach:
            self._warn_of_idle_sites(runner)
        total_kept = total_seen = 0
        for name, layers in _by_target(self._watched).items():
            kept, seen = take_counts(layers)
            log_keep_rate(runner, f'effective_keep_rate/{name}', (kept, seen))
            total_kept, total_seen = total_kept + kept, total_seen + seen
        log_keep_rate(runner, 'effective_keep_rate', (total_kept, total_seen))

    def _warn_of_idle_sites(self, runner: Runner) -> None:
        """Name the sites that the first iteration never reached, once."""
        self._checked_reach = True
        idle = [site for site in self._watched if not site.layer.seen_units]
        if not idle:
            return
        names = ', '.join(f'{site.module} ({site.place.name})' for site in idle[:6])
        more = f' and {len(idle) - 6} more' if len(idle) > 6 else ''
        frozen = sum(not site.layer.training for site in idle)
        runner.logger.warning(
            f'DropBlock did nothing at {len(idle)} of {len(self._watched)} sites in '
            f'the first iteration: {names}{more}. {frozen} of them are in eval mode, '
            'as in a stage that frozen_stages freezes; the rest were not called.'
        )


def _by_target(sites: Sequence[Site]) -> dict[str, list[DropBlock2d]]:
    """Group layers by what the ``module`` of their target says."""
    groups: dict[str, list[DropBlock2d]] = {}
    for site in sites:
        groups.setdefault(site.target.module, []).append(site.layer)
    return groups


def _check_ema_comes_later(runner: Runner) -> None:
    for hook in runner.hooks:
        if isinstance(hook, EMAHook) and hasattr(hook, 'ema_model'):
            raise RefusedValueError(
                f'EMAHook (priority={hook.priority!r}) copied the model before '
                'DropBlockInjectionHook could inject, and would mix up the buffers '
                'of the two. Give EMAHook a lower priority than VERY_HIGH.'
            )


def _warn_if_masks_repeat(runner: Runner) -> None:
    seeds = set(all_gather_object(torch.initial_seed()))
    if get_world_size() > 1 and len(seeds) == 1:
        runner.logger.warning(
            'All ranks have the same random seed, so DropBlock draws the same masks '
            'on every GPU. Set randomness=dict(seed=None, diff_rank_seed=True).'
        )


def _check_rates_are_set(targets: Sequence[Target], runner: Runner) -> None:
    scheduled = any(isinstance(hook, KeepProbScheduleHook) for hook in runner.hooks)
    unset = [target for target in targets if target.keep_prob is None]
    if unset and not scheduled:
        raise RefusedValueError(
            f'{unset[0].key}.keep_prob is not set and there is no '
            'KeepProbScheduleHook, so nothing would ever be dropped. Add '
            "dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9) to "
            'custom_hooks, or give keep_prob for a constant rate.'
        )
