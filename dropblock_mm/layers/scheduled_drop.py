"""What all regularisers share: a rate that a schedule moves, counts, a target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, fx, nn

from dropblock_mm.errors import RefusedStateError, RefusedTypeError
from dropblock_mm.layers.counts import count_units
from dropblock_mm.layers.distributed import drop_own_part, is_distributed
from dropblock_mm.layers.names import introduce
from dropblock_mm.ops.arguments import (
    DROP_RATE_NAMES,
    check_gamma_scale,
    check_keep_prob,
    keep_prob_instead,
    names_unknown_arguments,
)
from dropblock_mm.ops.cpu.sparse import add_to_both
from dropblock_mm.ops.paths import is_plain_on_host, refuse_recording
from dropblock_mm.ops.torch_private import (
    ToldOfConversion,
    buffers_of,
    is_compiling,
    is_ordinary,
    is_recomputing,
    is_transformed,
    is_within_backward,
)

# Half precision would round the rate.
_SINGLE = torch.float32
_BUFFERS = {
    'keep_prob': _SINGLE,
    'kept_units': torch.int64,
    'seen_units': torch.int64,
}


class ScheduledDrop(ToldOfConversion):
    """A regulariser that keeps units with a probability; the identity in eval mode.

    A new one derives from this class, implements :meth:`drop` and
    :meth:`expected_keep_rate`, and says in ``where`` where it goes unless a target
    says otherwise. Its class name is then a ``layer`` that targets can name; targets
    pass their options on to its constructor, which checks them. The documentation has
    a page about it, "A regulariser of your own".

    It has no parameters and only non-persistent buffers, so a model's state_dict is
    the same with and without it. ``keep_prob`` is the rate of now, in a buffer so that
    a schedule neither recompiles a compiled model nor comes between a forward pass and
    its recomputation under activation checkpointing. A plain number beside it is what
    was asked for: whatever happens to the buffer (``to_empty``, the meta device, half
    precision), it is filled from that again. ``kept_units`` and ``seen_units`` count
    the units of every forward pass in training mode, a recomputed pass not again.

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
    refilled = frozenset(_BUFFERS)

    # TorchScript reads annotations of a class, and cannot read those in quotes.
    if TYPE_CHECKING:
        keep_prob: Tensor
        kept_units: Tensor
        seen_units: Tensor
        __jit_unused_properties__: ClassVar[list[str]]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        introduce(cls)

    @names_unknown_arguments
    def __init__(
        self,
        *,
        keep_prob: float | None,
        drop_scale: float = 1.0,
        in_channels: int | None = None,
    ) -> None:
        final = None if keep_prob is None else check_keep_prob(keep_prob)
        super().__init__()
        self._rate = 1.0 if final is None else final
        for name in _BUFFERS:
            self.register_buffer(name, self._new_buffer(name), persistent=False)
        # Memory that others make for a meta tensor holds anything.
        self._awaits_values = _has_no_values(self.keep_prob)
        self.target: str | None = None  # set by injection; names it in logs
        self.final_keep_prob = final
        self.drop_scale = check_gamma_scale(drop_scale, 'drop_scale')

    def drop(self, x: Tensor, keep_prob: Tensor) -> tuple[Tensor, Tensor | int]:
        """Drop units of ``x``.

        Args:
            x: Tensor[N, C, ...], floating point.
            keep_prob: Tensor[], the rate of now; ``drop_scale``, the factor on
                ``1 - keep_prob``, is not in it, nor in that of the other methods.

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

    @classmethod
    def display_name(cls) -> str:
        """Return what the method is called: DropBlock for DropBlock2d."""
        return re.sub(r'\dd$', '', cls.__name__)

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
        """Drop in training on the CPU, where every microsecond of each site counts.

        Between the layers of a model this code has left the caches, where each call of
        Python's takes many times what it takes in a loop: so there are few.
        """
        if not (self.training and is_plain_on_host(x)):
            return self._forward_otherwise(x)
        held = buffers_of(self)
        rate = held.get('keep_prob')
        if (
            type(rate) is not Tensor
            or self._awaits_values
            or not rate.is_cpu
            or rate.dtype is not _SINGLE
            or rate.is_inference()
        ):
            return self._forward_otherwise(x)
        out, kept = self.drop(x, rate)
        if is_within_backward():
            return out
        if type(kept) is int:
            add_to_both(held['kept_units'], kept, held['seen_units'], x.numel())
        else:
            count_units(held['kept_units'], held['seen_units'], x, kept)
        return out

    def _forward_otherwise(self, x: Tensor) -> Tensor:
        if isinstance(x, fx.Proxy):
            return self._one_node(x)
        if not self.training:
            return x
        if not isinstance(x, Tensor):
            raise RefusedTypeError(
                f'{type(self).__name__} was given {type(x).__name__}, and drops units '
                'of a Tensor[N, C, ...]. Let it follow what returns one tensor.'
            )
        if is_distributed(x):
            return drop_own_part(self._forward, x, type(self).__name__)
        refuse_recording(type(self).__name__)
        if self._is_left_fake(x):
            self.reset_parameters()
        self._make_usable(x.device)
        rate = self.keep_prob
        if rate.dtype is not _SINGLE and is_compiling():
            rate = self._as_it_was_in_a_graph(rate)
        out, kept = self.drop(x, rate)
        if not is_recomputing():
            count_units(self.kept_units, self.seen_units, x, kept)
        return out

    def _one_node(self, x: Any) -> Any:
        """Return the proxy of a call of this layer, as for a leaf of the tracer.

        The traced module then holds the layer itself, which follows its mode and its
        schedule. A tracer takes modules of torch alone for leaves, and would record
        one branch of every condition in others.
        """
        path = x.tracer.path_of_module(self)
        if not path:
            raise RefusedStateError(
                f'{type(self).__name__} is itself what is to be traced, and cannot be '
                'a node of its own graph. Trace a model that holds it, such as '
                'nn.Sequential(layer).'
            )
        return x.tracer.create_proxy('call_module', path, (x,), {})

    def apply_to_output(
        self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor
    ) -> Tensor:
        """Forward hook: drop units of another module's output.

        It is a method because deepcopy rebinds a bound method to the copied
        layer, where a closure would go on calling the original.
        """
        return self(output)

    def extra_repr(self) -> str:
        """Show the rate of now and every setting that differs from its default."""
        settings = {'keep_prob': self._rate, **self.settings()}
        return ', '.join(f'{name}={_short(value)}' for name, value in settings.items())

    def __setattr__(self, name: str, value: Any) -> None:
        if name in DROP_RATE_NAMES or (
            name == 'keep_prob' and not isinstance(value, Tensor)
        ):
            is_rate = name == 'keep_prob'
            way = f'({value!r})' if is_rate else f': {keep_prob_instead(name, value)}'
            raise RefusedTypeError(
                f'{type(self).__name__}.{name} = {value!r} would change nothing. '
                f'Call set_keep_prob{way}.'
            )
        super().__setattr__(name, value)

    # ---- the buffers, which keep their word

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Notice buffers without values: ``torch.load`` can put them on meta."""
        super().__setstate__(state)
        self._awaits_values = self._awaits_values or _has_no_values(self.keep_prob)

    def set_keep_prob(self, keep_prob: float) -> None:
        """Set the probability of keeping a unit, in [0, 1], from now on."""
        self._rate = check_keep_prob(keep_prob)
        self._make_usable(self.keep_prob.device)
        self.keep_prob.fill_(self._rate)

    def reset_count(self) -> None:
        """Start counting kept and seen units from zero."""
        self._make_usable(self.keep_prob.device)
        self.kept_units.zero_()
        self.seen_units.zero_()

    def reset_parameters(self) -> None:
        """Give the buffers what was asked for; FSDP calls it after ``to_empty``."""
        for name in _BUFFERS:
            setattr(self, name, self._new_buffer(name, self.keep_prob.device))
        self._awaits_values = _has_no_values(self.keep_prob)

    def _is_left_fake(self, x: Tensor) -> bool:
        """Tell whether nobody gave values to buffers made under ``FakeTensorMode``."""
        is_fake = self._awaits_values and type(self.keep_prob) is not Tensor
        return is_fake and type(x) in (Tensor, nn.Parameter) and is_ordinary()

    def converted(self, before: Mapping[str, Tensor]) -> None:
        """Let ``to``, ``half``, ``to_empty`` and the like choose the device alone."""
        ours = {name: before[name] for name in _BUFFERS}
        self._place(ours, self.keep_prob.device)

    def _make_usable(self, device: torch.device) -> None:
        """See to buffers that others put in place, without the values or elsewhere."""
        rate = self.keep_prob
        lacks_values = self._awaits_values and device.type != 'meta'
        is_cast = rate.dtype is not _SINGLE and not is_compiling()
        if not (lacks_values or is_cast or rate.device != device or _is_frozen(rate)):
            return
        if type(rate) is not Tensor or is_transformed(rate):
            return
        if is_cast and not (lacks_values or rate.is_meta):
            self.keep_prob = self._as_it_was_before(rate)
        self._place({name: getattr(self, name) for name in _BUFFERS}, device)

    def _as_it_was_before(self, cast: Tensor) -> Tensor:
        """Return the rate that was cast, or set in another precision than ours."""
        ours = self._new_buffer('keep_prob', cast.device)
        return ours if torch.equal(ours.to(cast.dtype), cast) else cast.float()

    def _as_it_was_in_a_graph(self, cast: Tensor) -> Tensor:
        """Do so without an answer, which compilers cannot wait for.

        The number in the graph is that of now. To set another brings the precision
        back, and with it another graph.
        """
        ours = torch.full((), self._rate, dtype=_SINGLE, device=cast.device)
        return torch.where(ours.to(cast.dtype) == cast, ours, cast.to(_SINGLE))

    def _place(self, buffers: Mapping[str, Tensor], device: torch.device) -> None:
        """Have the buffers on a device: with the rate that was asked for, and counts.

        On the meta device they have no values; what comes from there is made anew.
        """
        for name, buffer in buffers.items():
            is_empty = self._awaits_values or buffer.is_meta
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
        value = self._rate if name == 'keep_prob' else 0
        with torch.inference_mode(False):  # such tensors could not be written later
            return torch.full((), value, dtype=_BUFFERS[name], device=device)


def _short(value: Any) -> str:
    return f'{value:g}' if isinstance(value, float) else str(value)


def _is_frozen(buffer: Tensor) -> bool:
    """Tell a tensor that was made in inference mode, and cannot be written outside."""
    if is_compiling():  # compilers cannot ask
        return False
    return buffer.is_inference() and not torch.is_inference_mode_enabled()


def _has_no_values(buffer: Tensor) -> bool:
    """Tell a tensor on the meta device, or a fake one."""
    return buffer.is_meta or type(buffer) is not Tensor
