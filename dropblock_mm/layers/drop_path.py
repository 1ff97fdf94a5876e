"""DropPath: whole residual branches."""

from __future__ import annotations

from dropblock_mm.layers.dropout import Dropout


class DropPath(Dropout):
    """Dropout of a residual block's whole branch, by sample (Larsson et al., 2017).

    As mmcv's ``DropPath``, and known as stochastic depth. What survives is divided by
    the probability of surviving. The paper's baseline has it in group 4 at keep_prob
    0.9, with a schedule (Table 1). The arguments are those of :class:`Dropout`.
    """

    where = 'branch'
    _axes = 1
