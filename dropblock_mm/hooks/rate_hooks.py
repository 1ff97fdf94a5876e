"""The hooks of the rate: one sets it before an iteration, one logs what was kept."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, cast

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from dropblock_mm.errors import RefusedError, RefusedValueError
from dropblock_mm.injection import Site
from dropblock_mm.injection.report import FirstMaps, idle_warning, tell_of_maps
from dropblock_mm.injection.sites import named_groups
from dropblock_mm.layers import ScheduledDrop
from dropblock_mm.layers.schedules import KeepProbCurve
from dropblock_mm.ops.arguments import names_unknown_arguments
from dropblock_mm.registry import HOOKS

_Init = TypeVar('_Init', bound=Callable[..., None])


def names_the_hook(init: _Init) -> _Init:
    """Decorate an ``__init__`` to put its class before what it refuses.

    Both hooks have a ``keep_prob``, and a config names them in one list.
    """

    @functools.wraps(init)
    def named(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except RefusedError as error:
            owner = type(self).__name__
            if owner in str(error):
                raise
            raise type(error)(f'{owner}: {error}') from error

    return cast(_Init, named)


@HOOKS.register_module()
class KeepProbScheduleHook(KeepProbCurve, Hook):
    """Move keep_prob from 1 to its target in the course of training.

    The paper decreases keep_prob linearly (section 3, Scheduled DropBlock)::

        keep_prob(i) = start + f((i - begin) / (end - begin)) * (keep_prob - start)

    for iteration ``i`` from 0, with ``f`` the schedule; it is ``start`` before
    ``begin`` and ``keep_prob`` from ``end`` on. By default ``begin`` is the first
    iteration and ``end`` the last one. It depends on the iteration alone, so
    nothing is saved, and a resumed run goes on exactly.

    It sets every DropBlock2d, Dropout, SpatialDropout, DropPath and other
    :class:`~dropblock_mm.ScheduledDrop` of the model, injected or built by the config.
    A layer with a keep_prob of its own ends at that instead. ``keep_prob`` is logged
    at every iteration, and ``target_keep_prob.<target>`` for targets with their own.

    Args:
        keep_prob: Value to arrive at, in [0, 1].
        schedule: 'linear', 'cosine', 'constant' (keep_prob from ``begin`` on) or
            'step' (``num_steps`` equal steps, equally spaced).
        start_keep_prob: Value to start from, in [0, 1].
        begin: When to begin, in ``unit``.
        end: When to arrive, in ``unit``; None is the end of training.
        unit: 'fraction' of training, 'iter' or 'epoch'.
        num_steps: Number of steps of the schedule 'step'.

    Raises:
        TypeError: If an argument has a wrong type or an unknown name.
        ValueError: If a value is outside its range. Before training also if begin
            or end lies beyond it, or the model has no such layer.
    """

    # After InjectionHook, which is VERY_HIGH.
    priority = 'HIGH'

    @names_the_hook
    @names_unknown_arguments
    def __init__(
        self,
        keep_prob: float,
        schedule: str = 'linear',
        start_keep_prob: float = 1.0,
        begin: float = 0,
        end: float | None = None,
        unit: str = 'fraction',
        num_steps: int = 4,
    ) -> None:
        super().__init__(
            keep_prob, schedule, start_keep_prob, begin, end, unit, num_steps
        )
        self.layers: list[ScheduledDrop] = []
        self._own_keep_probs: dict[str, float] = {}

    def before_run(self, runner: Runner) -> None:
        """Have the keep rates logged."""
        if is_training(runner):
            log_keep_rates(runner)

    def before_train(self, runner: Runner) -> None:
        """Find the layers and place the schedule in this run's iterations."""
        self.layers = scheduled_layers(runner.model)
        self._check_something_follows()
        self._own_keep_probs = {
            name: layer.final_keep_prob
            for name, (layer, *_) in named_groups(self.layers).items()
            if layer.target is not None and layer.final_keep_prob is not None
        }
        loop = runner.train_loop
        iters_per_epoch = len(loop.dataloader) if self.unit == 'epoch' else 1
        self.begin_training(loop.max_iters, iters_per_epoch)
        self._warn_of_jump(runner)

    def _warn_of_jump(self, runner: Runner) -> None:
        """Say where a resumed run had another schedule, or another length."""
        history = runner.message_hub.log_scalars.get('train/keep_prob')
        before, now = runner.iter - 1, self.keep_prob_at(runner.iter)
        if before < 0 or history is None or not len(history.data[0]):
            return
        was = float(history.current())
        if not math.isclose(was, self.keep_prob_at(before), abs_tol=1e-6):
            runner.logger.warning(
                f'keep_prob jumps from {was:.3f} to {now:.3f} at iteration '
                f'{runner.iter:,}: the run that is resumed had another schedule or '
                f'another length. This one goes to {self.keep_prob:g} over '
                f'{runner.train_loop.max_iters:,} iterations. To go on as it began, '
                'give the length and the schedule that it had; or place begin and end '
                "in unit='iter', which does not depend on the length."
            )

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Set and log keep_prob for this iteration."""
        for layer in self.layers:
            layer.set_keep_prob(self.keep_prob_at(runner.iter, layer.final_keep_prob))
        hub = runner.message_hub
        hub.update_scalar('train/keep_prob', self.keep_prob_at(runner.iter))
        for name, own in self._own_keep_probs.items():
            hub.update_scalar(
                f'train/target_keep_prob.{name}', self.keep_prob_at(runner.iter, own)
            )

    def _check_something_follows(self) -> None:
        """Raise unless at least one layer ends at this hook's keep_prob."""
        if not self.layers:
            raise RefusedValueError(
                f'KeepProbScheduleHook(keep_prob={self.keep_prob}) finds no '
                'layer in the model that it could set. Add '
                "dict(type='dropblock_mm.DropBlockInjectionHook', targets=[...]) to "
                'custom_hooks.'
            )
        ends = {layer.final_keep_prob for layer in self.layers}
        if ends.isdisjoint({None, self.keep_prob}):
            raise RefusedValueError(
                f'keep_prob={self.keep_prob} of KeepProbScheduleHook is used nowhere: '
                f'every layer was given its own ({sorted(map(str, ends))}). Give '
                'keep_prob in the schedule, and elsewhere only where it differs.'
            )


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
            self._tell_of_maps(runner, self._maps)
            self._maps = None
        if not self._checked_reach:
            self._checked_reach = True
            _warn(runner, idle_warning(self.sites))
        total_kept = total_seen = 0
        for name, layers in self.groups.items():
            kept, seen = take_counts(layers)
            _log(runner, f'target_keep_rate.{name}', kept, seen)
            total_kept, total_seen = total_kept + kept, total_seen + seen
        _log(runner, 'effective_keep_rate', total_kept, total_seen)

    def _tell_of_maps(self, runner: Runner, maps: FirstMaps) -> None:
        """Log what the layers do on the maps of the first iteration."""
        curve = next((h for h in runner.hooks if isinstance(h, KeepProbCurve)), None)
        table, warning = tell_of_maps(maps, curve, runner.train_loop.max_iters - 1)
        runner.logger.info(table)
        _warn(runner, warning)


def _warn(runner: Runner, warning: str) -> None:
    if warning:
        runner.logger.warning(warning)


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
