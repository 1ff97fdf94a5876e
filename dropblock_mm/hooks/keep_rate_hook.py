"""The hook that logs which share of units the layers really keep."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from dropblock_mm.injection import Site
from dropblock_mm.injection.report import (
    FirstMaps,
    covering_warning,
    format_lines,
    lines_of,
    title_of,
)
from dropblock_mm.layers import ScheduledDrop
from dropblock_mm.layers.schedules import KeepProbCurve
from dropblock_mm.ops.arguments import names_unknown_arguments
from dropblock_mm.registry import HOOKS


@HOOKS.register_module()
class KeepRateHook(Hook):
    """Log the share of units that were kept, at every iteration.

    ``effective_keep_rate`` is that of all layers of the model, injected or built by
    the config, and ``target_keep_rate.<target>`` that of one target's. The hooks that
    inject and schedule add it to the run, once.

    After the first iteration it logs a table of the sites, with the sizes of their
    maps, gamma, and the exact expected share of units kept at the end of training; it
    warns where a block covers its map, and of sites that were not reached.

    It reads and resets the layers' counts, so there must be one of them.
    """

    # After the hooks that add it, before LoggerHook.
    priority = 'HIGH'

    @names_unknown_arguments
    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.groups: dict[str, list[ScheduledDrop]] = {}
        self._checked_reach = False
        self._maps: FirstMaps | None = None

    def before_train(self, runner: Runner) -> None:
        """Find the layers, their names in the log, and their maps."""
        self.groups = named_groups(scheduled_layers(runner.model))
        self._checked_reach = False
        # Compilers would trace what watches, and compile anew when it is gone.
        if self.sites and not runner.cfg.get('compile'):
            self._maps = FirstMaps(self.sites)
            self._maps.watch()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Log the keep rates of this iteration."""
        if self._maps is not None:
            self._maps.stop()
            _log_sites(runner, self._maps)
            self._maps = None
        if not self._checked_reach:
            self._warn_of_idle_sites(runner)
        total_kept = total_seen = 0
        for name, layers in self.groups.items():
            kept, seen = take_counts(layers)
            _log(runner, f'target_keep_rate.{name}', kept, seen)
            total_kept, total_seen = total_kept + kept, total_seen + seen
        _log(runner, 'effective_keep_rate', total_kept, total_seen)

    def _warn_of_idle_sites(self, runner: Runner) -> None:
        """Name the sites that the first iteration never reached, once."""
        self._checked_reach = True
        idle = [site for site in self.sites if not site.layer.seen_units]
        if not idle:
            return
        names = ', '.join(f'{site.module} ({site.place.name})' for site in idle[:6])
        more = f' and {len(idle) - 6} more' if len(idle) > 6 else ''
        frozen = sum(not site.layer.training for site in idle)
        kinds = dict.fromkeys(site.layer.display_name() for site in idle)
        runner.logger.warning(
            f'{" and ".join(kinds)} did nothing at {len(idle)} of {len(self.sites)} '
            f'sites in the first iteration: {names}{more}. {frozen} of them are in '
            'eval mode, as in a stage that frozen_stages freezes; the rest were not '
            'called.'
        )


def _log_sites(runner: Runner, maps: FirstMaps) -> None:
    """Log what the layers do on the maps of the first iteration."""
    curve = next((h for h in runner.hooks if isinstance(h, KeepProbCurve)), None)
    last = runner.train_loop.max_iters - 1

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
    runner.logger.info(format_lines(title, maps.sites, lines))
    warning = covering_warning(lines)
    if warning:
        runner.logger.warning(warning)


def _in_words(curve: KeepProbCurve | None, last: int) -> str:
    """Say how keep_prob moves in a training, whose last iteration is given."""
    if curve is None or curve.interval is None:
        return 'constant keep_prob, without a schedule'
    begin, end = curve.interval.begin, curve.interval.end
    moves = f'keep_prob {curve.start_keep_prob:g} -> {curve.keep_prob:g}'
    when = f'iterations {begin:,} to {end:,}' + (f' of {last:,}' if end < last else '')
    return f'{moves}, {curve.schedule}, {when}'


def log_keep_rates(runner: Runner, sites: Iterable[Site] = ()) -> None:
    """Have a run log its keep rates, once, however many hooks ask for it.

    Args:
        runner: The runner, in a hook of a higher or the same priority.
        sites: Those to warn of if they are never reached.
    """
    hooks = [hook for hook in runner.hooks if isinstance(hook, KeepRateHook)]
    hook = hooks[0] if hooks else KeepRateHook()
    if not hooks:
        runner.register_hook(hook)
    hook.sites += sites


def is_training(runner: Runner) -> bool:
    """Tell, in ``before_run``, a run that trains from one that only evaluates.

    MMEngine calls ``before_run`` for training, validation and test alike, and its
    ``train_loop`` builds the loop, with the data set, when asked. But its optimizer is
    a config until training begins. (Where a script has handed over an optimizer
    wrapper that is built, evaluation looks like training. All that the hooks of this
    package then do has no effect in eval mode.)
    """
    return not isinstance(runner.optim_wrapper, dict | None)


def scheduled_layers(model: nn.Module) -> list[ScheduledDrop]:
    """Return every layer of ours in a model, injected or built by its config."""
    return [module for module in model.modules() if isinstance(module, ScheduledDrop)]


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


def take_counts(layers: Iterable[ScheduledDrop]) -> tuple[int, int]:
    """Return (kept, seen) units of all layers together, and reset the counts."""
    kept = seen = 0
    for layer in layers:
        kept += int(layer.kept_units)
        seen += int(layer.seen_units)
        layer.reset_count()
    return kept, seen


def _log(runner: Runner, name: str, kept: int, seen: int) -> None:
    """Log kept / seen as a training scalar; a layer that saw nothing has none."""
    if seen:
        runner.message_hub.update_scalar(f'train/{name}', kept / seen)
