"""RMSProp as TensorFlow computes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.ops.arguments import is_number
from dropblock_mm.registry import OPTIMIZERS


@OPTIMIZERS.register_module()
class RMSpropTF(Optimizer):
    """RMSProp of TensorFlow 1, which trained AmoebaNet.

    With ``square`` from 1 on and ``velocity`` from 0::

        square   = alpha * square + (1 - alpha) * grad ** 2
        velocity = momentum * velocity + lr * grad / sqrt(square + eps)
        weight   = weight - velocity

    torch's ``RMSprop`` differs in three ways. Its epsilon is outside the root, ``grad /
    (sqrt(square) + eps)``: with the authors' epsilon of 1 its steps are up to 1.4 times
    shorter, where the root of ``square`` is near 1. Its ``square`` begins at 0. And it
    multiplies the sum of past steps by the rate of now, where here every step keeps the
    rate at which it was taken: when the rate is lowered, the momentum of earlier steps
    goes on as it was.

    Weight decay is L2 regularisation, as in the authors' loss: it enters the gradient.

    Args:
        params: Parameters, or groups of them.
        lr: Learning rate.
        alpha: Decay of the mean square of the gradients.
        eps: Added to it before the root is taken.
        momentum: Decay of the velocity.
        weight_decay: Times the weight, added to the gradient.

    Raises:
        ValueError: If a number is outside its range.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        alpha: float = 0.9,
        eps: float = 1e-10,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        settings = {
            'lr': lr,
            'alpha': alpha,
            'eps': eps,
            'momentum': momentum,
            'weight_decay': weight_decay,
        }
        for name, value in settings.items():
            _check(name, value)
        super().__init__(params, settings)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step.

        Args:
            closure: Computes the loss and its gradients anew.

        Returns:
            float: What the closure returned, if there is one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group['params']:
                if parameter.grad is not None:
                    self._step_one(parameter, group)
        return loss

    def _step_one(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state['square'] = torch.ones_like(parameter)
            state['velocity'] = torch.zeros_like(parameter)
        grad: Any = parameter.grad
        if group['weight_decay']:
            grad = grad.add(parameter, alpha=group['weight_decay'])
        square, velocity = state['square'], state['velocity']
        square.mul_(group['alpha']).addcmul_(grad, grad, value=1 - group['alpha'])
        root = square.add(group['eps']).sqrt_()
        velocity.mul_(group['momentum']).addcdiv_(grad, root, value=group['lr'])
        parameter.sub_(velocity)


def _check(name: str, value: Any) -> None:
    below_one = name in ('alpha', 'momentum')
    most = 1.0 if below_one else float('inf')
    if not is_number(value) or not 0 <= value < most:
        wanted = 'in [0, 1)' if below_one else 'of at least 0'
        raise RefusedValueError(f'{name}={value!r} of RMSpropTF is no number {wanted}.')
