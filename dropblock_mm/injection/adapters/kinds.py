"""What a module is, told from its class and attributes, whichever library it is of."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

# DropBlock commutes with activations for which f(a * x) = a * f(x), a >= 0.
COMMUTING_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity)
_SIGMOIDS = ('Sigmoid', 'Hardsigmoid', 'HSigmoid')


def is_conv(module: Any) -> bool:
    """Tell whether a module is a convolution of maps, deformable and the like too."""
    named = isinstance(module, _ConvNd) or 'Conv' in type(module).__name__
    weight = getattr(module, 'weight', None) if named else None
    return isinstance(weight, Tensor) and weight.dim() == 4


def is_norm(module: Any) -> bool:
    """Tell whether a module is a norm of feature maps; LayerNorm is one of tokens."""
    named = re.search(r'(Batch|Group|Instance)Norm(?![13]d)|BN', type(module).__name__)
    return named is not None and hasattr(module, 'eps')


def contains_conv(module: nn.Module) -> bool:
    """Tell whether there is a convolution in a module."""
    return any(is_conv(m) for m in module.modules())


def contains_norm(module: nn.Module) -> bool:
    """Tell whether there is a norm of feature maps in a module."""
    return any(is_norm(m) for m in module.modules())


def pools_whole_map(module: nn.Module) -> bool:
    """Tell whether a module is global average pooling."""
    sizes = (1, (1, 1))
    return isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in sizes


def is_sigmoid(module: Any) -> bool:
    """Tell whether a module is a sigmoid of any kind."""
    return type(module).__name__ in _SIGMOIDS


def is_other_activation(module: nn.Module) -> bool:
    """Tell whether a module is one of torch's activations that do not commute."""
    is_activation = type(module).__module__ == 'torch.nn.modules.activation'
    return is_activation and not isinstance(module, COMMUTING_ACTIVATIONS)
