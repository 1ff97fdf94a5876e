"""The ResNet of the authors' code, where mmpretrain's differs from it."""

from __future__ import annotations

from typing import Any

from mmpretrain.models.backbones import ResNet
from torch import nn

# The variance of a standard normal distribution that is cut off at 2 is its square.
_CUT_OFF_STD = 0.87962566103423978


class TPUResNet(ResNet):
    """mmpretrain's ResNet with TensorFlow's padding and initial weights.

    It is ``resnet_v1_generator`` of the authors' code (tensorflow/tpu,
    ``models/official/resnet/resnet_model.py``). Its strided convolutions pad both sides
    alike, as PyTorch's do. Its first pooling, 3x3 with stride 2, is padded by 'SAME':
    on maps of even size, 112x112 for images of 224, only on the right and below, where
    PyTorch's pads both sides. The output has the same size, of windows one unit further
    to the right and below. Weights start from a normal distribution that is cut off at
    two standard deviations, with variance 1 / fan-in; He's has twice that, and fan-out.

    The keys of the state dict are those of :class:`mmpretrain.models.ResNet`, but the
    weights belong to the padding with which they were trained.

    Args:
        *args: Of ``ResNet``, like ``**kwargs``; ``init_cfg`` is for weights from a file
            (``type='Pretrained'``) and None by default.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault('init_cfg', None)
        super().__init__(*args, **kwargs)
        self.maxpool = SameMaxPool2d()

    def init_weights(self) -> None:
        """Fill the weights, unless ``init_cfg`` says from where they come."""
        if self.init_cfg is None and not self.is_init:
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    variance_scaling_(module.weight)
        super().init_weights()


class SameMaxPool2d(nn.MaxPool2d):
    """Max pooling 3x3 with stride 2, padded as TensorFlow's 'SAME'.

    Of n units along a side, ceil(n / 2) windows are taken. Two units are added, one at
    either end, where n is odd, and one, at the far end, where n is even. With
    ``ceil_mode`` the last window may reach past the end.
    """

    def __init__(self) -> None:
        super().__init__(kernel_size=3, stride=2, ceil_mode=True)

    def forward(self, x: Any) -> Any:
        """Pool ``Tensor[N, C, H, W]`` to ``Tensor[N, C, ceil(H / 2), ceil(W / 2)]``."""
        height, width = x.shape[-2:]
        before = (width % 2, width % 2, height % 2, height % 2)
        if any(before):
            x = nn.functional.pad(x, before, value=float('-inf'))
        return super().forward(x)


def variance_scaling_(weight: Any) -> None:
    """Fill a convolution's weight as ``tf.variance_scaling_initializer()`` does.

    Args:
        weight: ``Tensor[out, in / groups, h, w]``, filled in place from a normal
            distribution that is cut off at two of its standard deviations, and has a
            variance of 1 / (in / groups * h * w) after that.
    """
    fan_in = weight[0].numel()
    std = fan_in**-0.5 / _CUT_OFF_STD
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
