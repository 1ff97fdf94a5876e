"""What a module is, told from its class and attributes, whichever library it is of."""

from __future__ import annotations

import re
from typing import Any

from torch import Tensor, nn

from dropblock_mm.layers import ScheduledDrop

# DropBlock commutes with activations for which f(a * x) = a * f(x), a >= 0.
COMMUTING_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.Identity)
_SIGMOIDS = ('Sigmoid', 'Hardsigmoid', 'HSigmoid')


def parts_of(module: nn.Module) -> dict[str, nn.Module]:
    """Return a module's children by name, without the layers that were injected."""
    return {
        name: child
        for name, child in module.named_children()
        if not isinstance(child, ScheduledDrop)
    }


def is_conv(module: Any) -> bool:
    """Tell whether a module is a convolution of maps, deformable and the like too."""
    named = (
        isinstance(module, nn.Conv2d | nn.ConvTranspose2d)
        or 'Conv' in type(module).__name__
    )
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


def is_activation(module: nn.Module) -> bool:
    """Tell whether a module is an activation of torch's, timm's or mmcv's."""
    home = type(module).__module__
    return re.search(r'activation|bricks\.h?swish', home) is not None


def is_other_activation(module: nn.Module) -> bool:
    """Tell whether a module is one of torch's activations that do not commute."""
    is_torchs = type(module).__module__ == 'torch.nn.modules.activation'
    return is_torchs and not isinstance(module, COMMUTING_ACTIVATIONS)
