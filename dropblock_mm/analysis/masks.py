"""The masks of a model's sites, beside dropout and SpatialDropout at the same rate.

As Figure 1 of the paper shows them, but on the maps that a model really has. From one
draw of uniform numbers all keep_probs are shown, so that masks grow as it falls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dropblock_mm import drop_block_2d
from dropblock_mm.analysis.sites.site_kinds import SiteKind
from dropblock_mm.layers.drop_block import DropBlock2d
from dropblock_mm.ops.rates import clamp_block

CHANNELS = 9


@dataclass(frozen=True)
class SiteMasks:
    """What a site keeps of some channels, and what the others do at its rate.

    Args:
        kind: The site.
        keep_prob: Of the site.
        expected: Exact expected share of units that it keeps; the others' rate.
        seeds: BoolArray[C, H, W], the top left units of the blocks; None where the
            layer has no blocks.
        own: BoolArray[C, H, W], True where a unit is kept.
        dropout: The same of single units.
        spatial: The same of whole channels.
    """

    kind: SiteKind
    keep_prob: float
    expected: float
    seeds: np.ndarray | None
    own: np.ndarray
    dropout: np.ndarray
    spatial: np.ndarray

    @property
    def busiest(self) -> int:
        """The channel of which the site drops most."""
        return int((~self.own).sum(axis=(1, 2)).argmax())

    def by_method(self) -> dict[str, np.ndarray]:
        """Return the masks by the methods' names."""
        name = self.kind.layer().display_name()
        return {name: self.own, 'dropout': self.dropout, 'SpatialDropout': self.spatial}


class MaskDraws:
    """The uniform numbers of a site, from which its masks at any keep_prob follow.

    Args:
        kind: The site.
        seed: Of the numbers.
        channels: How many channels to draw.
    """

    def __init__(self, kind: SiteKind, seed: int, channels: int = CHANNELS) -> None:
        self.kind, self.seed, self.channels = kind, seed, channels
        self.layer = kind.layer()
        generator = torch.Generator().manual_seed(seed)
        height, width = kind.size
        self._units = torch.rand(channels, height, width, generator=generator)
        self._seeds = torch.rand(1, channels, *self._grid(), generator=generator)
        self._channels = torch.rand(channels, 1, 1, generator=generator)

    def at(self, keep_prob: float) -> SiteMasks:
        """Return the masks at a keep_prob, in [0, 1]."""
        rate = self.layer.expected_keep_rate(keep_prob, self.kind.size)
        seeds, own = self._own(keep_prob)
        channels = (self._channels < rate).expand_as(self._units)
        return SiteMasks(
            self.kind,
            keep_prob,
            rate,
            seeds,
            own.numpy(),
            (self._units < rate).numpy(),
            channels.numpy(),
        )

    def _grid(self) -> tuple[int, ...]:
        """Return in how many places a block can begin."""
        if not isinstance(self.layer, DropBlock2d):
            return self.kind.size
        block = clamp_block(self.layer.block_size, self.kind.size)
        sides = zip(self.kind.size, block, strict=True)
        return tuple(side - length + 1 for side, length in sides)

    def _own(self, keep_prob: float) -> tuple[np.ndarray | None, Tensor]:
        ones = torch.ones(1, self.channels, *self.kind.size)
        if not isinstance(self.layer, DropBlock2d):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed)
                out, _ = self.layer.drop(ones, torch.tensor(keep_prob))
            return None, out[0] > 0
        gamma = self.layer.facts(keep_prob, self.kind.size)['gamma']
        drawn = self._seeds if not self.layer.shared_mask else self._seeds[:, :1]
        seeds = drawn.expand_as(self._seeds) < gamma
        out = drop_block_2d(
            ones, keep_prob=keep_prob, block_size=self.layer.block_size, seeds=seeds
        )
        whole = torch.zeros(self.channels, *self.kind.size, dtype=torch.bool)
        whole[:, : seeds.shape[2], : seeds.shape[3]] = seeds[0]
        return whole.numpy(), out[0] > 0
