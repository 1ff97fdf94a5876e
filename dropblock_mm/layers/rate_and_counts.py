"""The rate and the counts of a layer, as buffers that keep their word."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from dropblock_mm.ops.arguments import check_keep_prob
from dropblock_mm.ops.cpu.sparse import add_to
from dropblock_mm.ops.torch_private import (
    beneath_transforms,
    is_compiling,
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


class RateAndCounts(nn.Module):
    """A rate that changes every iteration, and counts of units, in three buffers.

    They are not persistent: a model's state_dict is the same with and without them.
    ``keep_prob`` is a buffer because a rate that changes every iteration must neither
    recompile a compiled model nor differ between a forward pass and its recomputation
    under activation checkpointing. The plain number beside it is what was asked for:
    whatever happens to the buffer (``to_empty``, the meta device, half precision), it
    is filled from that again.

    Inside ``torch.func.vmap`` the counts are of the units of all samples: one mask for
    all (``randomness='same'``) counts once for each. A transformation that is itself
    compiled counts nothing. Where a model's buffers are passed to
    ``torch.func.functional_call``, those passed are used, and count.

    Args:
        rate: The first keep_prob, in [0, 1].
    """

    # TorchScript reads annotations of a class, and cannot read those in quotes.
    if TYPE_CHECKING:
        keep_prob: Tensor
        kept_units: Tensor
        seen_units: Tensor

    def __init__(self, rate: float) -> None:
        super().__init__()
        self._rate = rate
        for name in _BUFFERS:
            self.register_buffer(name, self._new_buffer(name), persistent=False)
        # Memory that others make for a meta tensor holds anything.
        self._awaits_values = _has_no_values(self.keep_prob)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Notice buffers without values: ``torch.load`` can put them on meta."""
        super().__setstate__(state)
        self._awaits_values = self._awaits_values or _has_no_values(self.keep_prob)

    def set_keep_prob(self, keep_prob: float) -> None:
        """Set the probability of keeping a unit, in [0, 1], from now on."""
        self._rate = check_keep_prob(keep_prob)
        self.make_usable(self.keep_prob.device)
        self.keep_prob.fill_(self._rate)

    def reset_count(self) -> None:
        """Start counting kept and seen units from zero."""
        self.make_usable(self.keep_prob.device)
        self.kept_units.zero_()
        self.seen_units.zero_()

    def reset_parameters(self) -> None:
        """Give the buffers what was asked for; FSDP calls it after ``to_empty``."""
        for name in _BUFFERS:
            setattr(self, name, self._new_buffer(name, self.keep_prob.device))
        self._awaits_values = _has_no_values(self.keep_prob)

    def count(self, x: Tensor, kept: Tensor | int) -> None:
        """Count the units of ``x``, and those of them that were kept."""
        if type(kept) is int and not is_transforming():
            self.kept_units.add_(kept)
            self.seen_units.add_(x.numel())
            return
        if is_compiling() and is_transforming():
            return
        # Compiled it is one graph; an ensemble has one count for each member.
        if is_compiling() or is_transformed(self.kept_units):
            self.kept_units.add_(kept)
            self.seen_units.add_(x.numel())
            return
        with beneath_transforms():
            whole, each = unwrapped(x), unwrapped(kept)
            masks = each.numel() if isinstance(each, Tensor) else 1
            times = whole.numel() // (x.numel() * masks) if x.numel() else 1
            total = each.sum() if masks > 1 else each
            self.kept_units.add_(total * times if times > 1 else total)
            self.seen_units.add_(whole.numel())  # `+=` would also assign the attribute

    def is_usable_on_host(self) -> bool:
        """Tell whether the rate is an ordinary tensor on the CPU, as almost always.

        The dictionary is asked, because a module looks there after everything else.
        """
        rate = self._buffers.get('keep_prob')
        if type(rate) is not Tensor or self._awaits_values:
            return False
        return rate.is_cpu and not rate.is_inference()

    def count_on_host(self, x: Tensor, kept: Tensor | int) -> None:
        """Count as :meth:`count` does, where nothing transforms tensors."""
        if type(kept) is int:
            # torch's type of the dictionary knows buffers that are None; these are not.
            add_to(self._buffers['kept_units'], kept)  # type: ignore[arg-type]
            add_to(self._buffers['seen_units'], x.numel())  # type: ignore[arg-type]
        else:
            self.count(x, kept)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any
    ) -> RateAndCounts:
        """Let ``to``, ``half``, ``to_empty`` and the like choose the device alone."""
        before = {name: getattr(self, name) for name in _BUFFERS}
        super()._apply(fn, *args, **kwargs)
        self._place(before, self.keep_prob.device)
        return self

    def make_usable(self, device: torch.device) -> None:
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
        start, dtype = _BUFFERS[name]
        value = self._rate if name == 'keep_prob' else start
        with torch.inference_mode(False):  # such tensors could not be written later
            return torch.full((), value, dtype=dtype, device=device)


def _is_frozen(buffer: Tensor) -> bool:
    """Tell a tensor that was made in inference mode, and cannot be written outside."""
    if is_compiling():  # compilers cannot ask
        return False
    return buffer.is_inference() and not torch.is_inference_mode_enabled()


def _has_no_values(buffer: Tensor) -> bool:
    """Tell a tensor on the meta device, or a fake one."""
    return buffer.is_meta or type(buffer) is not Tensor
