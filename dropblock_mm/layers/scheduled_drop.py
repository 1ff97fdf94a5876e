"""What all regularisers share: a rate that a schedule moves, counts, a target."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from dropblock_mm.errors import RefusedStateError, RefusedTypeError, RefusedValueError
from dropblock_mm.layers.tracers import is_traced_by_fx, one_node
from dropblock_mm.ops.arguments import (
    DROP_RATE_NAMES,
    check_gamma_scale,
    check_keep_prob,
    keep_prob_instead,
    names_unknown_arguments,
)
from dropblock_mm.ops.torch_private import (
    beneath_transforms,
    is_compiling,
    is_recomputing,
    is_transformed,
    is_transforming,
    unwrapped,
)

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
    pass their options on to its constructor, which checks them. The documentation has
    a page about it, "A regulariser of your own".

    It has no parameters and only non-persistent buffers, so a model's state_dict is
    the same with and without it. ``keep_prob`` is a buffer because a rate that changes
    every iteration must neither recompile a compiled model nor differ between a
    forward pass and its recomputation under activation checkpointing. The plain number
    beside it is what was asked for: whatever happens to the buffer (``to_empty``, the
    meta device, half precision), it is filled from that again.

    ``kept_units`` and ``seen_units`` count the units of every forward pass in training
    mode, and a recomputed pass not again. Inside ``torch.func.vmap`` they count the
    units of all samples: one mask for all (``randomness='same'``) counts once for each.
    A transformation that is itself compiled counts nothing. Where a model's buffers are
    passed to ``torch.func.functional_call``, those passed are used, and count.

    Tracers of ``torch.fx`` see one node, in either mode: the layer itself.

    Args:
        keep_prob: Probability of keeping a unit, in [0, 1]. Under a schedule it is the
            value that ends at; None leaves that to the schedule, and keeps everything
            until one sets it.
        drop_scale: Factor on the drop rate ``1 - keep_prob``, at least 0.
        in_channels: Not used; OpenMMLab's plugin builder passes it.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is outside its range.
    """

    where = 'conv'

    # TorchScript reads annotations of a class, and cannot read those in quotes.
    if TYPE_CHECKING:
        keep_prob: Tensor
        kept_units: Tensor
        seen_units: Tensor
        __jit_unused_properties__: ClassVar[list[str]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = LAYERS.get(cls.__name__)
        if known is not None and _is_ours(known) and not _is_ours(cls):
            raise RefusedValueError(
                f'{cls.__name__!r} is the name of a layer of dropblock_mm, and targets '
                'name layers by it. Give your class another name.'
            )
        if not cls.__name__.startswith('_'):
            LAYERS[cls.__name__] = cls
        # TorchScript compiles every property that is not named here.
        names = [n for c in cls.__mro__ for n, v in vars(c).items() if _is_property(v)]
        cls.__jit_unused_properties__ = names

    @names_unknown_arguments
    def __init__(
        self,
        *,
        keep_prob: float | None,
        drop_scale: float = 1.0,
        in_channels: int | None = None,
    ) -> None:
        super().__init__()
        self.target: str | None = None  # set by injection; names it in logs
        self.final_keep_prob = None if keep_prob is None else check_keep_prob(keep_prob)
        self.drop_scale = check_gamma_scale(drop_scale, 'drop_scale')
        self._rate = 1.0 if self.final_keep_prob is None else self.final_keep_prob
        for name in _BUFFERS:
            self.register_buffer(name, self._new_buffer(name), persistent=False)
        # Memory that others make for a meta tensor holds anything.
        self._awaits_values = self.keep_prob.is_meta

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
        self._make_usable(self.keep_prob.device)
        self.keep_prob.fill_(self._rate)

    def forward(self, x: Tensor) -> Tensor:
        """Drop units of Tensor[N, C, ...] in training mode; see the class."""
        if torch.jit.is_scripting():  # all that TorchScript compiles
            if self.training:
                raise RuntimeError(
                    'TorchScript cannot drop units. Call model.eval() before '
                    'torch.jit.script, and train the model that was scripted.'
                )
            return x
        else:
            return self._forward(x)

    def _forward(self, x: Tensor) -> Tensor:
        if is_traced_by_fx(x):
            return one_node(self, x)
        if not self.training:
            return x
        if torch.jit.is_tracing() or torch.onnx.is_in_onnx_export():
            raise RefusedStateError(
                f'{type(self).__name__} is in training mode, and torch.jit.trace and '
                'ONNX would record one mask for good. Call model.eval() before tracing '
                'or exporting.'
            )
        self._make_usable(x.device)
        out, kept = self.drop(x, self.keep_prob)
        if not is_recomputing():
            self._count(x, kept)
        return out

    def _count(self, x: Tensor, kept: Tensor | int) -> None:
        if is_compiling() and is_transforming():
            return
        # Compiled it is one graph; an ensemble has one count for each member.
        if is_compiling() or is_transformed(self.kept_units):
            self.kept_units.add_(kept)
            self.seen_units.add_(x.numel())
            return
        with beneath_transforms():
            whole, kept = unwrapped(x), unwrapped(kept)
            masks = kept.numel() if isinstance(kept, Tensor) else 1
            times = whole.numel() // (x.numel() * masks) if x.numel() else 1
            total = kept.sum() if masks > 1 else kept
            self.kept_units.add_(total * times if times > 1 else total)
            self.seen_units.add_(whole.numel())  # `+=` would also assign the attribute

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
        self._make_usable(self.keep_prob.device)
        self.kept_units.zero_()
        self.seen_units.zero_()

    def reset_parameters(self) -> None:
        """Give the buffers what was asked for; FSDP calls it after ``to_empty``."""
        for name in _BUFFERS:
            setattr(self, name, self._new_buffer(name, self.keep_prob.device))
        self._awaits_values = self.keep_prob.is_meta

    def extra_repr(self) -> str:
        """Show the rate of now and every setting that differs from its default."""
        settings = {'keep_prob': self._rate, **self.settings()}
        return ', '.join(f'{name}={_short(value)}' for name, value in settings.items())

    def __setattr__(self, name: str, value: Any) -> None:
        if name in DROP_RATE_NAMES or (
            name == 'keep_prob' and not isinstance(value, Tensor)
        ):
            raise RefusedTypeError(
                f'{type(self).__name__}.{name} = {value!r} would change nothing. '
                f'{_right_way(name, value)}'
            )
        super().__setattr__(name, value)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any
    ) -> ScheduledDrop:
        """Let ``to``, ``half``, ``to_empty`` and the like choose the device alone."""
        before = {name: getattr(self, name) for name in _BUFFERS}
        super()._apply(fn, *args, **kwargs)
        self._place(before, self.keep_prob.device)
        return self

    def _make_usable(self, device: torch.device) -> None:
        """See to buffers that others put in place, without the values or elsewhere."""
        rate = self.keep_prob
        lacks_values = self._awaits_values and device.type != 'meta'
        if not (lacks_values or rate.device != device or _is_frozen(rate)):
            return
        if type(rate) is Tensor and not is_transformed(rate):
            self._place({name: getattr(self, name) for name in _BUFFERS}, device)

    def _place(self, buffers: dict[str, Tensor], device: torch.device) -> None:
        """Have the buffers on a device: with the rate that was asked for, and counts.

        On the meta device they have no values; what comes from there is made anew.
        """
        for name, buffer in buffers.items():
            is_empty = buffer.is_meta or self._awaits_values
            if is_empty and device.type != 'meta':
                placed = self._new_buffer(name, device)
            elif buffer.device == device and not _is_frozen(buffer):
                placed = buffer
            else:
                with torch.inference_mode(False):
                    placed = buffer.clone().to(device)
            setattr(self, name, placed)
        self._awaits_values = device.type == 'meta'

    def _new_buffer(self, name: str, device: torch.device | None = None) -> Tensor:
        start, dtype = _BUFFERS[name]
        value = self._rate if name == 'keep_prob' else start
        with torch.inference_mode(False):  # such tensors could not be written later
            return torch.full((), value, dtype=dtype, device=device)


def _is_frozen(buffer: Tensor) -> bool:
    """Tell a tensor that was made in inference mode, and cannot be written outside."""
    if is_compiling():  # compilers cannot ask
        return False
    return buffer.is_inference() and not torch.is_inference_mode_enabled()


def _is_property(value: Any) -> bool:
    return isinstance(value, property)


def _is_ours(layer: type) -> bool:
    return layer.__module__.startswith('dropblock_mm.')


def _right_way(name: str, value: Any) -> str:
    """Say how to set the rate that was assigned to an attribute."""
    if name == 'keep_prob':
        return f'Call set_keep_prob({value!r}).'
    return f'Call set_keep_prob: {keep_prob_instead(name, value)}.'


def _short(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)
