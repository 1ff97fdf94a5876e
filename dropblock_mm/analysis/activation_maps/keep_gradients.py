"""A detector's prediction with the gradient kept, where mmdet's heads lose it.

They are written for evaluation without gradients: they detach, copy, write into views,
and take roots of padding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_SPLIT = (Tensor.split, torch.split, Tensor.chunk, torch.chunk)


class _Sqrt(torch.autograd.Function):
    """A root whose gradient is 0 where nothing depends on it, at 0 too."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        root = x.sqrt()
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (grad,), (root,) = grads, ctx.saved_tensors
        return torch.where(grad == 0, grad, grad / (2 * root))


class KeepGradients(TorchFunctionMode):
    """Around a pass: what cuts the graph, or is refused behind one, goes on with it."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is Tensor.detach:  # scores, before boxes are chosen
            return args[0]
        if func is Tensor.__deepcopy__:  # YOLACT's
            return args[0].clone()
        if func in (Tensor.sqrt, torch.sqrt) and not kwargs:  # PAA's, of padding
            return _Sqrt.apply(*args)
        found = func(*args, **kwargs)
        if func in _SPLIT and any(part.requires_grad for part in found):
            return tuple(part.clone() for part in found)  # PointRend writes into them
        return found
