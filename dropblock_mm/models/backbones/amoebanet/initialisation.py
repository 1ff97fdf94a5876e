"""Weights to start from, as in the authors' code."""

from __future__ import annotations

import math

from torch import Tensor, nn

# A normal distribution cut at two standard deviations keeps 1 / 1.3 of its variance;
# TensorFlow's initializer makes up for it by this very number.
_CUT = 1.3


def initialise(module: nn.Module) -> None:
    """Draw the weights of all convolutions and dense layers beneath a module.

    He's variance by the number of outputs, from a normal distribution cut at two
    standard deviations: ``variance_scaling_initializer(mode='FAN_OUT')`` of
    ``network_arg_scope`` in the authors' model_builder.py. A depthwise convolution
    counts the outputs of one channel there, where torch's ``kaiming_normal_`` would
    count those of all.
    """
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            area = math.prod(part.kernel_size)
            _draw(part.weight, area * part.out_channels // part.groups)
        elif isinstance(part, nn.Linear):
            _draw(part.weight, part.out_features)
            nn.init.zeros_(part.bias)


def _draw(weight: Tensor, fan_out: int) -> None:
    std = math.sqrt(_CUT * 2 / fan_out)
    nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
