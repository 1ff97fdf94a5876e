"""The public function: checks its arguments and picks the path for the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dropblock_mm.ops import dense, sparse
from dropblock_mm.ops.arguments import (
    check_block_size,
    check_flag,
    check_gamma_scale,
    check_keep_prob,
)
from dropblock_mm.ops.rates import (
    clamp_block,
    gamma_per_drop_rate,
    seed_grid,
    seed_rate,
)


def drop_block_2d(
    x: Tensor,
    keep_prob: float | Tensor,
    block_size: int,
    *,
    training: bool = True,
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    shared_mask: bool = False,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Drop square regions of a feature map (Algorithm 1 of the paper).

    Seeds are drawn with probability gamma (equation 1, see
    :func:`~dropblock_mm.seed_rate`) wherever a whole block fits; each zeroes a
    block of which it is the top left unit, independently for each channel. The
    rest is multiplied by ``numel / kept units``, counted over the whole tensor.
    A block larger than the map is clamped to it. If nothing is kept the result
    is zero.

    Args:
        x: Tensor[N, C, H, W] of any floating dtype and memory format.
        keep_prob: Probability of keeping a unit, in [0, 1]. A 0-dim tensor is
            read where it lives and its range is not checked.
        block_size: Side of the dropped square, in units of the map.
        training: If False, ``x`` itself is returned.
        gamma_scale: Factor on gamma (0.25 for the paper's group 3).
        calibrated: Solve for the gamma whose exact expected keep rate is
            keep_prob, instead of equation 1, which keeps more.
        shared_mask: Use one mask for all channels of an image.
        seeds: BoolTensor[N, C, H - bh + 1, W - bw + 1], True at the top left unit
            of each block, instead of drawing them; C is 1 for a shared mask.
            keep_prob, gamma_scale and calibrated are then not used.
        generator: Source of randomness; the default one of x's device if None.

    Returns:
        Tensor: Tensor[N, C, H, W], with the dtype and memory format of ``x``.
        It is ``x`` itself where nothing is to be dropped, else a fresh tensor.

    Raises:
        TypeError: If ``x`` is not floating point or an argument has a wrong type.
        ValueError: If ``x`` is not 4-D or an argument is outside its range.

    Examples:
        >>> x = torch.ones(2, 3, 20, 20)
        >>> out = drop_block_2d(x, keep_prob=0.9, block_size=7)
        >>> round(out.sum().item()) == x.numel()
        True
    """
    if not check_flag(training, 'training'):
        return x
    out, _ = drop_block_2d_with_count(
        x,
        keep_prob,
        block_size,
        gamma_scale=gamma_scale,
        calibrated=calibrated,
        shared_mask=shared_mask,
        seeds=seeds,
        generator=generator,
    )
    return out


def drop_block_2d_with_count(
    x: Tensor,
    keep_prob: float | Tensor,
    block_size: int,
    *,
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    shared_mask: bool = False,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor | int]:
    """Do :func:`drop_block_2d` in training, and return the number of units kept.

    Returns:
        tuple[Tensor, Tensor | int]: The output, and the count: an int on the CPU,
        elsewhere a 0-dim LongTensor, which is not read back to the host.
    """
    _check_input(x)
    request = _Request(
        block_size=check_block_size(block_size),
        gamma_scale=check_gamma_scale(gamma_scale),
        calibrated=check_flag(calibrated, 'calibrated'),
        feature_size=(x.shape[2], x.shape[3]),
        planes=(
            x.shape[0],
            1 if check_flag(shared_mask, 'shared_mask') else x.shape[1],
        ),
    )
    if not isinstance(keep_prob, Tensor):
        keep_prob = check_keep_prob(keep_prob)
    if x.numel() == 0:
        return x, 0
    if seeds is not None:
        _check_seeds(seeds, request)
    drop = _drop_sparsely if x.device.type == 'cpu' else _drop_densely
    return drop(x, keep_prob, request, seeds, generator)


@dataclass(frozen=True)
class _Request:
    """What is to be done, apart from the rate: checked arguments and shapes."""

    block_size: int
    gamma_scale: float
    calibrated: bool
    feature_size: tuple[int, int]
    planes: tuple[int, int]

    @property
    def block(self) -> tuple[int, int]:
        return clamp_block(self.block_size, self.feature_size)

    @property
    def seed_shape(self) -> tuple[int, int, int, int]:
        return (*self.planes, *seed_grid(self.block_size, self.feature_size))

    def gamma(self, keep_prob: float | Tensor) -> float:
        """Return gamma; a tensor is read back to the host."""
        return seed_rate(
            min(max(float(keep_prob), 0.0), 1.0),
            self.block_size,
            self.feature_size,
            gamma_scale=self.gamma_scale,
            calibrated=self.calibrated,
        )

    def device_gamma(self, keep_prob: float | Tensor) -> float | Tensor:
        """Return gamma where keep_prob is; only calibration needs the host."""
        if not isinstance(keep_prob, Tensor) or self.calibrated:
            return self.gamma(keep_prob)
        factor = self.gamma_scale * gamma_per_drop_rate(
            self.block_size, self.feature_size
        )
        return ((1.0 - keep_prob) * factor).clamp(0.0, 1.0)


# The number of seeds depends on chance, which a compiled graph cannot hold.
@torch.compiler.disable
def _drop_sparsely(
    x: Tensor,
    keep_prob: float | Tensor,
    request: _Request,
    seeds: Tensor | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, int]:
    geometry = sparse.BlockGeometry(
        shape=(*request.planes, *request.feature_size),
        block=request.block,
        shared_over=x.shape[1] // request.planes[1],
    )
    if seeds is not None:
        positions = seeds.flatten().nonzero().flatten()
        return sparse.drop_blocks(x, positions, geometry)
    gamma = request.gamma(keep_prob)
    if gamma == 0.0:
        return x, x.numel()
    positions = sparse.sample_seeds(geometry.num_positions, gamma, generator)
    return sparse.drop_blocks(x, positions, geometry)


def _drop_densely(
    x: Tensor,
    keep_prob: float | Tensor,
    request: _Request,
    seeds: Tensor | None,
    generator: torch.Generator | None,
) -> tuple[Tensor, Tensor]:
    if seeds is None:
        gamma = request.device_gamma(keep_prob)
        seeds = dense.sample_seed_mask(request.seed_shape, gamma, x.device, generator)
    return dense.drop_units(x, dense.drop_mask(seeds, request.block))


def _check_input(x: Tensor) -> None:
    if x.dim() != 4:
        raise ValueError(
            f'x has shape {tuple(x.shape)}. DropBlock needs a batch of feature '
            'maps, (N, C, H, W).'
        )
    if not x.is_floating_point():
        raise TypeError(f'x has dtype {x.dtype}. DropBlock needs a floating dtype.')


def _check_seeds(seeds: Tensor, request: _Request) -> None:
    if tuple(seeds.shape) != request.seed_shape or seeds.dtype != torch.bool:
        raise ValueError(
            f'seeds has shape {tuple(seeds.shape)} and dtype {seeds.dtype}. For this '
            f'input and block_size={request.block_size} it must be a bool tensor of '
            f'shape {request.seed_shape}: one entry for each place where a whole '
            'block fits.'
        )
