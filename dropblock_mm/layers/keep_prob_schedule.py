"""A schedule for training loops of one's own; MMEngine has a hook for its own."""

from __future__ import annotations

from torch import nn

from dropblock_mm.errors import RefusedTypeError, RefusedValueError
from dropblock_mm.layers.scheduled_drop import ScheduledDrop
from dropblock_mm.layers.schedules import KeepProbCurve
from dropblock_mm.ops.arguments import check_count, names_unknown_arguments


class KeepProbSchedule(KeepProbCurve):
    """Move the keep_prob of a model's layers in the course of training.

    The same as :class:`~dropblock_mm.KeepProbScheduleHook`, for a loop without
    MMEngine. It depends on the iteration alone: there is nothing to save, and training
    that is resumed goes on exactly. It sets every :class:`ScheduledDrop` that the model
    holds when this is built; a layer with a keep_prob of its own ends at that instead.

    Args:
        model: A model, wrapped or not.
        total_iters: Iterations of the whole training.
        keep_prob: Value to arrive at, in [0, 1].
        schedule: 'linear' (the paper's), 'cosine', 'constant' (keep_prob from ``begin``
            on) or 'step' (``num_steps`` equal steps, equally spaced).
        start_keep_prob: Value to start from, in [0, 1].
        begin: When to begin, in ``unit``.
        end: When to arrive, in ``unit``; None is the last iteration.
        unit: 'fraction' of training, or 'iter'.
        num_steps: Number of steps of the schedule 'step'.

    Raises:
        TypeError: If an argument has a wrong type or an unknown name.
        ValueError: If a value is outside its range, or the model has no such layer.

    Examples:
        >>> from dropblock_mm import DropBlock2d
        >>> model = nn.Sequential(DropBlock2d(keep_prob=None, block_size=7))
        >>> schedule = KeepProbSchedule(model, keep_prob=0.9, total_iters=101)
        >>> for iteration in range(101):
        ...     schedule.set_at(iteration)
        ...     # forward, backward, optimizer step
        >>> model
        Sequential(
          (0): DropBlock2d(keep_prob=0.9, block_size=7)
        )
    """

    @names_unknown_arguments
    def __init__(
        self,
        model: nn.Module,
        *,
        keep_prob: float,
        total_iters: int,
        schedule: str = 'linear',
        start_keep_prob: float = 1.0,
        begin: float = 0,
        end: float | None = None,
        unit: str = 'fraction',
        num_steps: int = 4,
    ) -> None:
        if unit == 'epoch':
            raise RefusedValueError(
                "unit='epoch' is not known here, where iterations are counted. Give "
                "begin and end with unit='fraction' or unit='iter'."
            )
        super().__init__(
            keep_prob, schedule, start_keep_prob, begin, end, unit, num_steps
        )
        self.begin_training(
            check_count(
                total_iters, 'total_iters', 'Give the iterations of the whole training.'
            )
        )
        self.layers = _layers_of(model)

    def set_at(self, iteration: int) -> None:
        """Set every layer's keep_prob for an iteration, counted from 0.

        Call it before the iteration's forward pass.
        """
        for layer in self.layers:
            layer.set_keep_prob(self.keep_prob_at(iteration, layer.final_keep_prob))


def _layers_of(model: nn.Module) -> list[ScheduledDrop]:
    if not isinstance(model, nn.Module):
        raise RefusedTypeError(
            f'model={model!r} is not a module. Give the whole model.'
        )
    layers = [m for m in model.modules() if isinstance(m, ScheduledDrop)]
    if not layers:
        raise RefusedValueError(
            'The model has no layer such as DropBlock2d, so there is nothing to '
            'schedule. Inject them first, with dropblock_mm.inject_drop_block, or '
            'build the model with them.'
        )
    return layers
