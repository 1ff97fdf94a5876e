"""The public functions: they check their arguments once."""

from __future__ import annotations

import torch
from torch import Tensor

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.ops.arguments import (
    BlockSize,
    check_block_size,
    check_flag,
    check_gamma_scale,
    check_keep_prob,
    names_unknown_arguments,
)
from dropblock_mm.ops.paths import drop_checked


@names_unknown_arguments
def drop_block_2d(
    x: Tensor,
    *,
    keep_prob: float | Tensor,
    block_size: BlockSize,
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
        block_size: Side of the dropped square, in units of the map, or height and
            width of a rectangle.
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
        TypeError: If ``x`` is not floating point, an argument has a wrong type, or
            keep_prob and block_size are not given by name.
        ValueError: If ``x`` is not 4-D or an argument is outside its range.

    Examples:
        >>> x = torch.ones(2, 3, 20, 20)
        >>> out = drop_block_2d(x, keep_prob=0.9, block_size=7)
        >>> round(out.sum().item()) == x.numel()
        True
    """
    options = (keep_prob, block_size, gamma_scale, calibrated, shared_mask)
    return _drop(x, *options, seeds, generator, training=training, dims=2)[0]


@names_unknown_arguments
def drop_block_1d(
    x: Tensor,
    *,
    keep_prob: float | Tensor,
    block_size: BlockSize,
    training: bool = True,
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    shared_mask: bool = False,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Drop stretches of a sequence of features.

    It is :func:`~dropblock_mm.drop_block_2d` with one side, equation 1 included::

        gamma = (1 - keep_prob) / b * L / (L - b + 1)

    Args:
        x: Tensor[N, C, L] of any floating dtype.
        keep_prob: See :func:`~dropblock_mm.drop_block_2d`, as for the other arguments.
        block_size: Length of a dropped stretch.
        training: If False, ``x`` itself is returned.
        gamma_scale: Factor on gamma.
        calibrated: Solve for gamma instead of equation 1.
        shared_mask: Use one mask for all channels of a sequence.
        seeds: BoolTensor[N, C, L - b + 1], True at the first unit of each block.
        generator: Source of randomness.

    Returns:
        Tensor: Tensor[N, C, L], ``x`` itself where nothing is to be dropped.

    Raises:
        TypeError: See :func:`~dropblock_mm.drop_block_2d`.
        ValueError: If ``x`` is not 3-D or an argument is outside its range.
    """
    options = (keep_prob, block_size, gamma_scale, calibrated, shared_mask)
    return _drop(x, *options, seeds, generator, training=training, dims=1)[0]


@names_unknown_arguments
def drop_block_3d(
    x: Tensor,
    *,
    keep_prob: float | Tensor,
    block_size: BlockSize,
    training: bool = True,
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    shared_mask: bool = False,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Drop cubes of a volume of features.

    It is :func:`~dropblock_mm.drop_block_2d` with three sides, equation 1 included::

        gamma = (1 - keep_prob) / (bd * bh * bw)
                * (D * H * W) / ((D - bd + 1) * (H - bh + 1) * (W - bw + 1))

    On a GPU it takes the slow path, with a mask as large as the input.

    Args:
        x: Tensor[N, C, D, H, W] of any floating dtype and memory format.
        keep_prob: See :func:`~dropblock_mm.drop_block_2d`, as for the other arguments.
        block_size: Side of the dropped cube, or depth, height and width.
        training: If False, ``x`` itself is returned.
        gamma_scale: Factor on gamma.
        calibrated: Solve for gamma instead of equation 1.
        shared_mask: Use one mask for all channels of a volume.
        seeds: BoolTensor[N, C, D - bd + 1, H - bh + 1, W - bw + 1], True at the first
            unit of each block.
        generator: Source of randomness.

    Returns:
        Tensor: Tensor[N, C, D, H, W], ``x`` itself where nothing is to be dropped.

    Raises:
        TypeError: See :func:`~dropblock_mm.drop_block_2d`.
        ValueError: If ``x`` is not 5-D or an argument is outside its range.
    """
    options = (keep_prob, block_size, gamma_scale, calibrated, shared_mask)
    return _drop(x, *options, seeds, generator, training=training, dims=3)[0]


@names_unknown_arguments
def drop_block_with_count(
    x: Tensor,
    *,
    keep_prob: float | Tensor,
    block_size: BlockSize,
    gamma_scale: float = 1.0,
    calibrated: bool = False,
    shared_mask: bool = False,
    seeds: Tensor | None = None,
    generator: torch.Generator | None = None,
    dims: int = 2,
) -> tuple[Tensor, Tensor | int]:
    """Drop as the functions for ``dims`` sides do in training, and count.

    Returns:
        tuple[Tensor, Tensor | int]: The output, and the number of units kept: an int
        where a plain tensor is on the CPU, elsewhere a 0-dim LongTensor, which is not
        read back to the host.
    """
    options = (keep_prob, block_size, gamma_scale, calibrated, shared_mask)
    return _drop(x, *options, seeds, generator, dims=dims)


def _drop(
    x: Tensor,
    keep_prob: float | Tensor,
    block_size: BlockSize,
    gamma_scale: float,
    calibrated: bool,
    shared_mask: bool,
    seeds: Tensor | None,
    generator: torch.Generator | None,
    *,
    dims: int,
    training: bool = True,
) -> tuple[Tensor, Tensor | int]:
    """Check what the user gave, and drop."""
    if not check_flag(training, 'training'):
        return x, x.numel()
    return drop_checked(
        x,
        _check_rate(keep_prob),
        check_block_size(block_size, dims=dims),
        check_gamma_scale(gamma_scale),
        check_flag(calibrated, 'calibrated'),
        check_flag(shared_mask, 'shared_mask'),
        seeds,
        generator,
        dims=dims,
    )


def _check_rate(keep_prob: float | Tensor) -> float | Tensor:
    if not isinstance(keep_prob, Tensor):
        return check_keep_prob(keep_prob)
    if keep_prob.dim():
        raise RefusedValueError(
            f'keep_prob has shape {tuple(keep_prob.shape)}. DropBlock has one rate '
            'for all: give a number or a 0-dim tensor.'
        )
    return keep_prob
