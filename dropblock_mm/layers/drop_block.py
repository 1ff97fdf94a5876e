"""DropBlock as layers: they check their options and delegate to the op."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from dropblock_mm.layers.scheduled_drop import ScheduledDrop
from dropblock_mm.ops.arguments import (
    BlockSize,
    check_block_size,
    check_flag,
    check_gamma_scale,
    names_unknown_arguments,
)
from dropblock_mm.ops.paths import drop_checked
from dropblock_mm.ops.rates import clamp_block, expected_keep_rate, seed_rate


class _DropBlock(ScheduledDrop):
    """What the layers for sequences, maps and volumes share: all but ``_dims``."""

    _abbr_ = 'drop_block'  # the name that mmcv's plugin builder gives it
    _dims = 2
    where = 'both'

    @names_unknown_arguments
    def __init__(
        self,
        *,
        keep_prob: float | None,
        block_size: BlockSize,
        gamma_scale: float = 1.0,
        calibrated: bool = False,
        shared_mask: bool = False,
        in_channels: int | None = None,
    ) -> None:
        gamma_scale = check_gamma_scale(gamma_scale)
        super().__init__(keep_prob=keep_prob, drop_scale=gamma_scale)
        self.block_size = check_block_size(block_size, dims=self._dims)
        self.calibrated = check_flag(calibrated, 'calibrated')
        self.shared_mask = check_flag(shared_mask, 'shared_mask')

    @property
    def gamma_scale(self) -> float:
        """The factor on gamma, which is one on the drop rate."""
        return self.drop_scale

    def drop(self, x: Tensor, keep_prob: Tensor) -> tuple[Tensor, Tensor | int]:
        """Drop blocks of Tensor[N, C, ...]."""
        return drop_checked(
            x,
            keep_prob,
            self.block_size,
            self.drop_scale,
            self.calibrated,
            self.shared_mask,
            dims=self._dims,
        )

    def expected_keep_rate(self, keep_prob: float, size: tuple[int, ...]) -> float:
        """Return the exact expected share of units kept on a map such as (H, W)."""
        return expected_keep_rate(
            keep_prob=keep_prob,
            block_size=self.block_size,
            feature_size=size,
            gamma_scale=self.drop_scale,
            calibrated=self.calibrated,
        )

    def facts(self, keep_prob: float, size: tuple[int, ...]) -> dict[str, Any]:
        """Return gamma, and whether a block covers the map and drops whole channels."""
        gamma = seed_rate(
            keep_prob=keep_prob,
            block_size=self.block_size,
            feature_size=size,
            gamma_scale=self.drop_scale,
            calibrated=self.calibrated,
        )
        covered = clamp_block(self.block_size, size) == tuple(size)
        return {'gamma': gamma, 'covers_map': covered}

    def settings(self) -> dict[str, Any]:
        """Return block_size, and every option that differs from the paper's."""
        found: dict[str, Any] = {'block_size': self.block_size}
        if self.drop_scale != 1.0:
            found['gamma_scale'] = self.drop_scale
        flags = {'calibrated': self.calibrated, 'shared_mask': self.shared_mask}
        return {**found, **{name: True for name, is_set in flags.items() if is_set}}


class DropBlock2d(_DropBlock):
    """DropBlock as a layer (section 3 of the paper); the identity in eval mode.

    It can be a plugin of mmdet's and mmseg's ResNet::

        plugins=[dict(cfg=dict(type='dropblock_mm.DropBlock2d', keep_prob=0.9,
                               block_size=7), position='after_conv2')]

    Args:
        keep_prob: Probability of keeping a unit, in [0, 1]. Under a schedule it is the
            value that ends at; None leaves that to the schedule, and keeps everything
            until one sets it.
        block_size: Side of the dropped square, in units of the map, or height and
            width of a rectangle.
        gamma_scale: Factor on gamma (0.25 for the paper's group 3).
        calibrated: Solve for the gamma whose exact expected keep rate is
            keep_prob, instead of equation 1, which keeps more.
        shared_mask: Use one mask for all channels of an image.
        in_channels: Not used; OpenMMLab's plugin builder passes it.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is outside its range.

    Examples:
        >>> import torch
        >>> layer = DropBlock2d(keep_prob=0.9, block_size=7)
        >>> layer.eval()(torch.ones(1, 1, 20, 20)).mean().item()
        1.0
    """


class DropBlock1d(_DropBlock):
    """DropBlock of sequences, Tensor[N, C, L], by the same equation in one dimension.

    The arguments are those of :class:`DropBlock2d`; a block is a stretch of
    ``block_size`` units.
    """

    _dims = 1


class DropBlock3d(_DropBlock):
    """DropBlock of volumes, Tensor[N, C, D, H, W], by the equation in three dimensions.

    The arguments are those of :class:`DropBlock2d`; ``block_size`` is the side of a
    cube, or depth, height and width of a cuboid.
    """

    _dims = 3
