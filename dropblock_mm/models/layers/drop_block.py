"""The layer: holds the rate, counts what it keeps, delegates to the op."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dropblock_mm.ops.arguments import (
    check_block_size,
    check_flag,
    check_gamma_scale,
    check_keep_prob,
    names_unknown_arguments,
)
from dropblock_mm.ops.drop_block import drop_checked, is_compiling
from dropblock_mm.registry import MODELS


@MODELS.register_module()
class DropBlock2d(nn.Module):
    """DropBlock as a layer (section 3 of the paper); the identity in eval mode.

    It has no parameters and only non-persistent buffers, so a model's state_dict
    is the same with and without it. ``keep_prob`` is a buffer because a rate that
    changes every iteration must neither recompile a compiled model nor differ
    between a forward pass and its recomputation under activation checkpointing.

    It can be a plugin of mmdet's and mmseg's ResNet::

        plugins=[dict(cfg=dict(type='dropblock_mm.DropBlock2d', keep_prob=0.9,
                               block_size=7), position='after_conv2')]

    Args:
        keep_prob: Probability of keeping a unit, in [0, 1]. Under a
            ``KeepProbScheduleHook`` it is the value the schedule ends at; None
            leaves that to the hook, and keeps everything until a hook runs.
        block_size: Side of the dropped square, in units of the map.
        gamma_scale: Factor on gamma (0.25 for the paper's group 3).
        calibrated: Solve for the gamma whose exact expected keep rate is
            keep_prob, instead of equation 1, which keeps more.
        shared_mask: Use one mask for all channels of an image.
        in_channels: Not used; OpenMMLab's plugin builder passes it.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is outside its range.

    Examples:
        >>> layer = DropBlock2d(keep_prob=0.9, block_size=7)
        >>> layer.eval()(torch.ones(1, 1, 20, 20)).mean().item()
        1.0
    """

    _abbr_ = 'drop_block'  # the name that mmcv's plugin builder gives it

    keep_prob: Tensor
    kept_units: Tensor
    seen_units: Tensor

    @names_unknown_arguments
    def __init__(
        self,
        keep_prob: float | None,
        block_size: int,
        *,
        gamma_scale: float = 1.0,
        calibrated: bool = False,
        shared_mask: bool = False,
        in_channels: int | None = None,
    ) -> None:
        super().__init__()
        self.target: str | None = None  # set by injection; names it in logs
        self.final_keep_prob = None if keep_prob is None else check_keep_prob(keep_prob)
        self.block_size = check_block_size(block_size)
        self.gamma_scale = check_gamma_scale(gamma_scale)
        self.calibrated = check_flag(calibrated, 'calibrated')
        self.shared_mask = check_flag(shared_mask, 'shared_mask')
        start = 1.0 if self.final_keep_prob is None else self.final_keep_prob
        for name, value in (
            ('keep_prob', torch.tensor(start, dtype=torch.float32)),
            ('kept_units', torch.zeros((), dtype=torch.int64)),
            ('seen_units', torch.zeros((), dtype=torch.int64)),
        ):
            self.register_buffer(name, value, persistent=False)

    def set_keep_prob(self, keep_prob: float) -> None:
        """Set the probability of keeping a unit, in [0, 1], from now on."""
        self.keep_prob.fill_(check_keep_prob(keep_prob))

    def forward(self, x: Tensor) -> Tensor:
        """Drop blocks of Tensor[N, C, H, W] in training mode; see the class."""
        if not self.training:
            return x
        out, kept = drop_checked(
            x,
            self.keep_prob,
            self.block_size,
            self.gamma_scale,
            self.calibrated,
            self.shared_mask,
        )
        if not _is_recomputing():
            self.kept_units.add_(kept)  # `+=` would also assign the attribute
            self.seen_units.add_(x.numel())
        return out

    def apply_to_output(
        self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor
    ) -> Tensor:
        """Forward hook: drop blocks of another module's output.

        It is a method because deepcopy rebinds a bound method to the copied
        layer, where a closure would go on calling the original.
        """
        return self(output)

    def reset_count(self) -> None:
        """Start counting kept and seen units from zero."""
        self.kept_units.zero_()
        self.seen_units.zero_()

    def extra_repr(self) -> str:
        """Show every setting that differs from the paper's default."""
        # A layer on the meta device has no value to show.
        rate = '?' if self.keep_prob.is_meta else f'{self.keep_prob.item():g}'
        parts = [f'keep_prob={rate}, block_size={self.block_size}']
        if self.gamma_scale != 1.0:
            parts.append(f'gamma_scale={self.gamma_scale:g}')
        parts += [
            f'{name}=True'
            for name in ('calibrated', 'shared_mask')
            if getattr(self, name)
        ]
        return ', '.join(parts)


def _is_recomputing() -> bool:
    """Tell a forward pass within backward: activation checkpointing repeats it."""
    return not is_compiling() and torch._C._current_graph_task_id() != -1
