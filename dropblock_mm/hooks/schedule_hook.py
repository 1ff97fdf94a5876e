"""The hook that sets keep_prob before every iteration."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

from mmengine.hooks import Hook
from mmengine.runner import Runner

from dropblock_mm.errors import RefusedError, RefusedValueError
from dropblock_mm.hooks.keep_rate_hook import (
    is_training,
    log_keep_rates,
    named_groups,
    scheduled_layers,
)
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
