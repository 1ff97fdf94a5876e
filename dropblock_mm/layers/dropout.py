"""Dropout of single units, and of whole channels."""

from __future__ import annotations

from torch import Tensor

from dropblock_mm.layers.scheduled_drop import ScheduledDrop
from dropblock_mm.ops.arguments import check_keep_prob
from dropblock_mm.ops.dropout import drop_units


class Dropout(ScheduledDrop):
    """Dropout of single units (Srivastava et al., 2014), as ``torch.nn.Dropout``.

    What is kept is divided by the probability of keeping it. The paper's baseline has
    it after the convolutions of groups 3 and 4, at keep_prob 0.7 (Table 1).

    Args:
        keep_prob: See :class:`~dropblock_mm.DropBlock2d`.
        drop_scale: Factor on the drop rate.
        in_channels: Not used; OpenMMLab's plugin builder passes it.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is outside its range.
    """

    _abbr_ = 'drop'
    # How many leading axes have a draw for each index; None: all of them.
    _axes: int | None = None

    def drop(self, x: Tensor, keep_prob: Tensor) -> tuple[Tensor, Tensor | int]:
        """Drop units of Tensor[N, C, ...]."""
        return drop_units(x, keep_prob, self.drop_scale, self._axes)

    def expected_keep_rate(self, keep_prob: float, size: tuple[int, ...]) -> float:
        """Return the share of units kept, which is the probability."""
        drop_rate = self.drop_scale * (1.0 - check_keep_prob(keep_prob))
        return max(1.0 - drop_rate, 0.0)


class SpatialDropout(Dropout):
    """Dropout of whole channels of an image (Tompson et al., 2015).

    As ``torch.nn.Dropout2d``. The paper's baseline has it at keep_prob 0.9 where the
    dropout of Table 1 is. The arguments are those of :class:`Dropout`.
    """

    _axes = 2
