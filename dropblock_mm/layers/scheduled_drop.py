"""What all regularisers share: a rate that a schedule moves, counts, a target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dropblock_mm.errors import RefusedTypeError
from dropblock_mm.ops.arguments import check_gamma_scale, check_keep_prob
from dropblock_mm.ops.torch_private import is_recomputing

# Start and dtype of each buffer. Half precision would round the rate.
_BUFFERS = {
    'keep_prob': (1.0, torch.float32),
    'kept_units': (0, torch.int64),
    'seen_units': (0, torch.int64),
}

# Every regulariser by its name, as `layer=...` of a target names it.
LAYERS: dict[str, type[ScheduledDrop]] = {}


class ScheduledDrop(nn.Module):
    """A regulariser that keeps units with a probability; the identity in eval mode.

    A new one derives from this class, implements :meth:`drop` and
    :meth:`expected_keep_rate`, and says in ``where`` where it goes unless a target
    says otherwise. Its class name is then a ``layer`` that targets can name; targets
    pass their options on to its constructor, which checks them.

    It has no parameters and only non-persistent buffers, so a model's state_dict is
    the same with and without it. ``keep_prob`` is a buffer because a rate that changes
    every iteration must neither recompile a compiled model nor differ between a
    forward pass and its recomputation under activation checkpointing. The plain number
    beside it is what was asked for: whatever happens to the buffer (``to_empty``, the
    meta device, half precision), it is filled from that again.

    Args:
        keep_prob: Probability of keeping a unit, in [0, 1]. Under a
            ``KeepProbScheduleHook`` it is the value the schedule ends at; None
            leaves that to the hook, and keeps everything until a hook runs.
        drop_scale: Factor on the drop rate ``1 - keep_prob``, at least 0.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is outside its range.
    """

    where: ClassVar[str] = 'conv'

    keep_prob: Tensor
    kept_units: Tensor
    seen_units: Tensor

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        LAYERS[cls.__name__] = cls

    def __init__(self, keep_prob: float | None, *, drop_scale: float = 1.0) -> None:
        super().__init__()
        self.target: str | None = None  # set by injection; names it in logs
        self.final_keep_prob = None if keep_prob is None else check_keep_prob(keep_prob)
        self.drop_scale = check_gamma_scale(drop_scale, 'drop_scale')
        self._rate = 1.0 if self.final_keep_prob is None else self.final_keep_prob
        for name in _BUFFERS:
            self.register_buffer(name, self._new_buffer(name), persistent=False)

    def drop(self, x: Tensor, keep_prob: Tensor) -> tuple[Tensor, Tensor | int]:
        """Drop units of ``x``.

        Args:
            x: Tensor[N, C, ...], floating point.
            keep_prob: Tensor[], the rate of now; ``drop_scale`` is not in it.

        Returns:
            tuple[Tensor, Tensor | int]: A fresh tensor like ``x``, and the number of
            its units that were kept.
        """
        raise NotImplementedError(f'{type(self).__name__} implements no drop().')

    def expected_keep_rate(self, keep_prob: float, size: tuple[int, ...]) -> float:
        """Return the exact expected share of units that are kept.

        Args:
            keep_prob: Probability of keeping a unit, in [0, 1].
            size: Size of the map without batch and channels, such as (H, W).
        """
        raise NotImplementedError(
            f'{type(self).__name__} implements no expected_keep_rate().'
        )

    def facts(self, keep_prob: float, size: tuple[int, ...]) -> dict[str, Any]:
        """Return what else can be said of a map of a size, by name; print_sites does.

        Args:
            keep_prob: Probability of keeping a unit, in [0, 1].
            size: Size of the map without batch and channels, such as (H, W).
        """
        return {}

    def settings(self) -> dict[str, Any]:
        """Return the options that differ from the defaults, by name.

        ``repr``, the report of sites and print_sites show them.
        """
        return {} if self.drop_scale == 1.0 else {'drop_scale': self.drop_scale}

    def set_keep_prob(self, keep_prob: float) -> None:
        """Set the probability of keeping a unit, in [0, 1], from now on."""
        self._rate = check_keep_prob(keep_prob)
        self.keep_prob.fill_(self._rate)

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of Tensor[N, C, ...] in training mode; see the class."""
        if not self.training:
            return x
        if self.keep_prob.device != x.device:  # as after load_state_dict(assign=True)
            self._place_buffers(dict(self.named_buffers(recurse=False)), x.device)
        out, kept = self.drop(x, self.keep_prob)
        if not is_recomputing():
            self.kept_units.add_(kept)  # `+=` would also assign the attribute
            self.seen_units.add_(x.numel())
        return out

    def apply_to_output(
        self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor
    ) -> Tensor:
        """Forward hook: drop units of another module's output.

        It is a method because deepcopy rebinds a bound method to the copied
        layer, where a closure would go on calling the original.
        """
        return self(output)

    def reset_count(self) -> None:
        """Start counting kept and seen units from zero."""
        self.kept_units.zero_()
        self.seen_units.zero_()

    def reset_parameters(self) -> None:
        """Give the buffers what was asked for; FSDP calls it after ``to_empty``."""
        for name in _BUFFERS:
            setattr(self, name, self._new_buffer(name, self.keep_prob.device))

    def extra_repr(self) -> str:
        """Show the rate of now and every setting that differs from its default."""
        settings = {'keep_prob': self._rate, **self.settings()}
        return ', '.join(f'{name}={_short(value)}' for name, value in settings.items())

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ('drop_prob', 'drop_rate', 'p', 'rate') or (
            name == 'keep_prob' and not isinstance(value, Tensor)
        ):
            raise RefusedTypeError(
                f'{type(self).__name__}.{name} = {value!r} would change nothing. Call '
                f'set_keep_prob({_as_keep_prob(name, value)}).'
            )
        super().__setattr__(name, value)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any
    ) -> ScheduledDrop:
        """Let ``to``, ``half``, ``to_empty`` and the like choose the device alone."""
        before = {name: getattr(self, name) for name in _BUFFERS}
        super()._apply(fn, *args, **kwargs)
        self._place_buffers(before, self.keep_prob.device)
        return self

    def _place_buffers(self, buffers: dict[str, Tensor], device: torch.device) -> None:
        """Have the buffers on a device: with the rate that was asked for, and counts.

        On the meta device they have no values; what comes from there is made anew.
        """
        for name, buffer in buffers.items():
            if buffer.device == device:
                placed = buffer
            elif buffer.is_meta:
                placed = self._new_buffer(name, device)
            else:
                placed = buffer.to(device)
            setattr(self, name, placed)

    def _new_buffer(self, name: str, device: torch.device | None = None) -> Tensor:
        start, dtype = _BUFFERS[name]
        value = self._rate if name == 'keep_prob' else start
        with torch.inference_mode(False):  # such tensors could not be written later
            return torch.full((), value, dtype=dtype, device=device)


def _as_keep_prob(name: str, value: Any) -> str:
    """Turn what was asked for by another name into a keep_prob, if it is a number."""
    if name == 'keep_prob' or not isinstance(value, int | float):
        return repr(value) if name == 'keep_prob' else '1 - rate'
    return f'{1 - value:g}'


def _short(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)
