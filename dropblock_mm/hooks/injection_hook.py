"""The hooks that inject regularisers into a model before training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from mmengine.dist import all_gather_object, get_world_size
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch import nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.hooks.rate_hooks import (
    KeepProbScheduleHook,
    is_training,
    log_keep_rates,
    names_the_hook,
)
from dropblock_mm.injection import (
    Defaults,
    Site,
    Target,
    format_sites,
    inject_targets,
    parse_targets,
)
from dropblock_mm.injection.auto import in_words, targets_in
from dropblock_mm.injection.report import title_of
from dropblock_mm.injection.targets import AUTO
from dropblock_mm.layers import DropBlock2d, ScheduledDrop
from dropblock_mm.ops.arguments import names_unknown_arguments
from dropblock_mm.registry import HOOKS


@HOOKS.register_module()
class InjectionHook(Hook):
    """Attach a regulariser to the model, and have logged what it really keeps.

    Before training it attaches a layer to every site of the targets.
    ``KeepProbScheduleHook`` moves its rate, and :class:`~dropblock_mm.KeepRateHook`
    logs a table of the sites and the share of units that were kept.

    It runs before ``EMAHook``, which copies the model: layers that enter only the
    original would shift the copy's buffers against it.

    Args:
        targets: Dicts with ``module`` (a dotted path, or a regular expression that
            matches whole paths) and, optionally, ``layer``, ``keep_prob``, ``where``,
            ``grows_with_depth`` (of n blocks, the i-th gets i / n of the drop rate)
            and the options of the layer. Or 'auto': the last two stages of the
            backbone, the earlier one at a quarter of the drop rate.
        layer: What to attach: 'DropBlock2d', 'Dropout', 'SpatialDropout', 'DropPath',
            or a layer of yours that derives from
            :class:`~dropblock_mm.ScheduledDrop`, by name or as a class.
        keep_prob: Probability of keeping a unit, in [0, 1]. None leaves it to
            ``KeepProbScheduleHook``; with that hook, a target's own keep_prob is
            the value at which the schedule ends there.
        where: 'conv' (after each conv-norm), 'shortcut' (on the skip connection
            of residual blocks), 'both' of these, or 'branch' (what a residual block
            adds to its skip connection). None is where the layer usually goes.
        **options: Options of the layer, for the targets that name no other.

    Raises:
        TypeError: If an argument has a wrong type or an unknown name.
        ValueError: If a value is outside its range. Before training also if a
            target names no module, no site, or a site that is taken.

    Examples:
        >>> custom_hooks = [  # the paper's DropPath
        ...     dict(type='dropblock_mm.InjectionHook', layer='DropPath',
        ...          targets=[dict(module='backbone.layer4')]),
        ...     dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9)]
    """

    priority = 'VERY_HIGH'

    @names_the_hook
    def __init__(
        self,
        targets: Sequence[Mapping[str, Any]] | Literal['auto'],
        layer: str | type[ScheduledDrop] = 'DropBlock2d',
        keep_prob: float | None = None,
        where: str | None = None,
        **options: Any,
    ) -> None:
        shared = Defaults(layer, keep_prob, where, options, type(self).__name__)
        self._given, self._shared = targets, shared
        # Checked now, found when there is a model.
        anywhere: Any = [{'module': ''}] if targets == AUTO else targets
        self.targets = parse_targets(anywhere, shared)
        self.sites: list[Site] = []

    def look_at(self, model: nn.Module) -> str:
        """Find the targets of 'auto'; others are as they were given.

        Args:
            model: A built model.

        Returns:
            str: What was taken, in words; '' where nothing was to be found.
        """
        if self._given != AUTO:
            return ''
        self.targets = targets_in(model, self._given, self._shared)
        return in_words(self.targets)

    def targets_for(self, model: nn.Module) -> list[Target]:
        """Return the targets, those of 'auto' for this model."""
        self.look_at(model)
        return self.targets

    def before_run(self, runner: Runner) -> None:
        """Inject, if this run trains and the model is not injected yet."""
        # before_run is called for val and test too, where nothing is dropped.
        if self.sites or not is_training(runner):
            return
        _check_ema_comes_later(runner, type(self).__name__)
        taken = self.look_at(runner.model)
        if taken:
            runner.logger.info(taken)
        _check_rates_are_set(self.targets, runner)
        self.sites = inject_targets(runner.model, self.targets)
        # What they do depends on the sizes of their maps, so the table comes later.
        known = format_sites(self.sites) if runner.cfg.get('compile') else ''
        table = 'the table of them follows the first iteration'
        runner.logger.info(known or f'{title_of(self.sites)}; {table}')
        log_keep_rates(runner, self.sites)

    def before_train(self, runner: Runner) -> None:
        """Warn, once in a run, if all ranks would draw the same masks."""
        hooks = [hook for hook in runner.hooks if isinstance(hook, InjectionHook)]
        if hooks[0] is self:
            _warn_if_masks_repeat(runner)


@HOOKS.register_module()
class DropBlockInjectionHook(InjectionHook):
    """Attach DropBlock to the model, and have logged what it really keeps.

    It is :class:`~dropblock_mm.InjectionHook` with DropBlock2d for a layer, and with
    the paper's options.

    Args:
        targets: Dicts with ``module`` (a dotted path, or a regular expression that
            matches whole paths) and, optionally, any of the arguments below,
            for this target alone. Targets with another ``layer`` have the options of
            that one. Or 'auto': the last two stages of the backbone, the earlier one
            at a quarter of gamma, as in the paper's ResNet; the log says which.
        block_size: Side of the dropped square, in units of the feature map.
        keep_prob: Probability of keeping a unit, in [0, 1]. None leaves it to
            ``KeepProbScheduleHook``; with that hook, a target's own keep_prob is
            the value at which the schedule ends there.
        where: 'conv' (after each conv-norm), 'shortcut' (on the skip connection
            of residual blocks) or 'both', as in the paper; or 'branch'.
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

    @names_the_hook
    @names_unknown_arguments
    def __init__(
        self,
        targets: Sequence[Mapping[str, Any]] | Literal['auto'],
        block_size: int = 7,
        keep_prob: float | None = None,
        where: str = 'both',
        gamma_scale: float = 1.0,
        calibrated: bool = False,
        shared_mask: bool = False,
    ) -> None:
        super().__init__(
            targets,
            keep_prob=keep_prob,
            # DropBlock's usual place is not that of another layer.
            where=None if where == DropBlock2d.where else where,
            block_size=block_size,
            gamma_scale=gamma_scale,
            calibrated=calibrated,
            shared_mask=shared_mask,
        )


def _check_ema_comes_later(runner: Runner, name: str) -> None:
    for hook in runner.hooks:
        if isinstance(hook, EMAHook) and hasattr(hook, 'ema_model'):
            raise RefusedValueError(
                f'EMAHook (priority={hook.priority!r}) copied the model before '
                f'{name} could inject, and would mix up the buffers '
                'of the two. Give EMAHook a lower priority than VERY_HIGH.'
            )


def _warn_if_masks_repeat(runner: Runner) -> None:
    seeds = set(all_gather_object(torch.initial_seed()))
    if get_world_size() > 1 and len(seeds) == 1:
        runner.logger.warning(
            'All ranks have the same random seed, so the same masks are drawn '
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
