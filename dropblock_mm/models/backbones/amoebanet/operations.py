"""The operations of a cell, as TensorFlow computes them.

Convolutions have no bias, come after a ReLU, and a batch norm comes after them. Maps
are padded as TensorFlow's SAME does it: ``ceil(size / stride)`` units come out, and
what is padded is shared by both ends, the last one getting the odd unit.
"""

from __future__ import annotations

from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn
from torch.nn import functional

Norm = dict[str, Any]  # config of the norms, as OpenMMLab's libraries have it


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return how much TensorFlow's SAME pads before and after ``size`` units."""
    out = -(-size // stride)
    total = max(0, (out - 1) * stride + kernel - size)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution without bias that pads as TensorFlow's SAME does.

    With stride 2 an even map gets one unit more at its end than at its beginning,
    which ``padding`` of torch's convolutions cannot say.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        groups: int = 1,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, groups=groups, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Convolve Tensor[N, C, H, W]; H and W come out divided by the stride."""
        sides = zip(x.shape[2:], self.kernel_size, self.stride, strict=True)
        (top, bottom), (left, right) = (same_padding(*side) for side in sides)
        if (top, left) == (bottom, right):
            return functional.conv2d(
                x, self.weight, None, self.stride, (top, left), 1, self.groups
            )
        x = functional.pad(x, (left, right, top, bottom))
        return functional.conv2d(x, self.weight, None, self.stride, 0, 1, self.groups)


class SamePool2d(nn.Module):
    """Pooling that pads as TensorFlow's SAME does; averages leave the padding out.

    Args:
        kind: 'max' or 'avg'.
        kernel_size: 2 or 3.
        stride: 1 or 2.
    """

    def __init__(self, kind: str, kernel_size: int, stride: int = 1) -> None:
        super().__init__()
        self.kind = kind
        self.kernel_size = kernel_size
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Pool Tensor[N, C, H, W]; H and W come out divided by the stride."""
        kernel, stride = self.kernel_size, self.stride
        ends = [same_padding(size, kernel, stride) for size in x.shape[2:]]
        padding = tuple(before for before, _ in ends)
        if stride == 1 and kernel == 2:
            # One unit behind the end, which no argument of torch's pooling gives.
            x = functional.pad(x, (0, 1, 0, 1), mode='replicate')
        # An odd unit at the end is what ceil_mode adds; elsewhere it adds none.
        if self.kind == 'max':
            return functional.max_pool2d(x, kernel, stride, padding, ceil_mode=True)
        return functional.avg_pool2d(
            x, kernel, stride, padding, ceil_mode=True, count_include_pad=False
        )

    def extra_repr(self) -> str:
        """Show the kind and the sizes."""
        return f'{self.kind}, kernel_size={self.kernel_size}, stride={self.stride}'


class ReLUConvNorm(nn.Sequential):
    """ReLU, convolutions, norm.

    Args:
        *convs: One convolution, or a depthwise and a pointwise one.
        norm: Config of the norm.
        inplace: Overwrite the input; only where nobody else uses it.
    """

    def __init__(self, *convs: nn.Conv2d, norm: Norm, inplace: bool = False) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=inplace)
        names = ('conv',) if len(convs) == 1 else ('depthwise', 'pointwise')
        for name, conv in zip(names, convs, strict=True):
            self.add_module(name, conv)
        self.norm = build_norm_layer(norm, convs[-1].out_channels)[1]


class FactorizedReduction(nn.Module):
    """Halve a map, and let every unit have a say: NASNet's factorized reduction.

    Half of the channels come from the units with even indices, the others from those
    with odd ones; behind the last there are zeros. ``out_channels`` is rounded down to
    an even number, as in the authors' code, and the cell then has to cope.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output, if even.
        norm: Config of the norm.
        relu: Whether a ReLU comes first, as it does on what comes from the cell
            before. A state on its way to the cell's output has none.
    """

    def __init__(
        self, in_channels: int, out_channels: int, norm: Norm, relu: bool = True
    ) -> None:
        super().__init__()
        half = out_channels // 2
        self.relu = nn.ReLU() if relu else nn.Identity()
        self.conv_even = nn.Conv2d(in_channels, half, 1, stride=2, bias=False)
        self.conv_odd = nn.Conv2d(in_channels, half, 1, stride=2, bias=False)
        self.out_channels = 2 * half
        self.norm = build_norm_layer(norm, self.out_channels)[1]

    def forward(self, x: Tensor) -> Tensor:
        """Reduce Tensor[N, C, H, W] to ceil(H / 2) x ceil(W / 2)."""
        x = self.relu(x)
        from_second_on = functional.pad(x, (-1, 1, -1, 1))
        halves = [self.conv_even(x), self.conv_odd(from_second_on)]
        return self.norm(torch.cat(halves, dim=1))


def project(
    in_channels: int, out_channels: int, norm: Norm, stride: int = 1
) -> ReLUConvNorm:
    """Build ReLU, 1x1 convolution, norm."""
    conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
    return ReLUConvNorm(conv, norm=norm)


def conv_norm(in_channels: int, out_channels: int, norm: Norm) -> nn.Sequential:
    """Build 1x1 convolution, norm."""
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return nn.Sequential(conv, build_norm_layer(norm, out_channels)[1])


def build_operation(
    name: str, in_channels: int, channels: int, stride: int, norm: Norm
) -> nn.Module:
    """Build the operation of a step.

    Args:
        name: One of :data:`~dropblock_mm.models.backbones.amoebanet.genotypes.
            OPERATIONS`.
        in_channels: Channels of the state that it takes.
        channels: Channels that it puts out.
        stride: 1, or 2 to halve the map.
        norm: Config of its norms.
    """
    if name == 'none':
        passes = stride == 1 and in_channels == channels
        return nn.Identity() if passes else project(in_channels, channels, norm, stride)
    if name == '1x1':
        return project(in_channels, channels, norm, stride)
    if name.startswith('sep'):
        return _separable(int(name[3:]), in_channels, channels, stride, norm)
    if name.startswith('conv'):
        return _bottleneck(name, in_channels, channels, stride, norm)
    return _pooling(name, in_channels, channels, stride, norm)


def _separable(
    kernel: int, in_channels: int, channels: int, stride: int, norm: Norm
) -> nn.Sequential:
    """Two separable convolutions; the first one changes size and channels."""
    units = [
        ReLUConvNorm(
            SameConv2d(before, before, kernel, step, groups=before),
            nn.Conv2d(before, channels, 1, bias=False),
            norm=norm,
            inplace=inplace,
        )
        for before, step, inplace in ((in_channels, stride, False), (channels, 1, True))
    ]
    return nn.Sequential(*units)


def _bottleneck(
    name: str, in_channels: int, channels: int, stride: int, norm: Norm
) -> nn.Sequential:
    """A full convolution, or one along each axis, of a quarter of the channels."""
    width = channels // 4
    kernels = {'conv3': ((3, 3),), 'conv1x7_7x1': ((1, 7), (7, 1))}[name]
    # What is wider than one unit has the stride.
    strides = [tuple(stride if side > 1 else 1 for side in k) for k in kernels]
    inner = width or channels  # so narrow that a quarter is nothing: no bottleneck
    first = inner if width else in_channels
    units = [project(in_channels, inner, norm)] if width else []
    for kernel, step in zip(kernels, strides, strict=True):
        conv = SameConv2d(first, inner, kernel, step)  # type: ignore[arg-type]
        units.append(ReLUConvNorm(conv, norm=norm, inplace=bool(units)))
        first = inner
    if width:
        conv1x1 = nn.Conv2d(inner, channels, 1, bias=False)
        units.append(ReLUConvNorm(conv1x1, norm=norm, inplace=True))
    return nn.Sequential(*units)


def _pooling(
    name: str, in_channels: int, channels: int, stride: int, norm: Norm
) -> nn.Module:
    """Pooling; a projection without ReLU behind it if the channels change."""
    pool = SamePool2d(name[:3], int(name[3:]), stride)
    if in_channels == channels:
        return pool
    return nn.Sequential(pool, *conv_norm(in_channels, channels, norm))
