"""What torch has no public way to say: the one place that asks its private names.

Each has its reason and a fallback for the day on which the name goes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

# torch.compiler has it since 2.3; before, compilers cannot be told.
is_compiling: Callable[[], bool] = getattr(
    torch.compiler, 'is_compiling', lambda: False
)


def is_recomputing() -> bool:
    """Tell a forward pass within backward: activation checkpointing repeats it.

    No public name tells it. Without this one, units that are computed twice are
    counted twice, which changes no rate but where a layer is half recomputed.
    """
    if is_compiling():
        return False
    running = getattr(torch._C, '_current_graph_task_id', None)
    return running is not None and running() != -1


def is_transformed(x: Tensor) -> bool:
    """Tell a tensor inside torch.func's transformations (grad, vmap, jvp).

    These pass wrapped tensors, whose memory cannot be written. No public name tells
    them. Without this one they are taken for plain, and torch itself refuses.
    """
    functorch = getattr(torch._C, '_functorch', None)
    ask: Any = getattr(functorch, 'is_functorch_wrapped_tensor', None)
    return ask is not None and ask(x)


def unwrapped(value: Any) -> Any:
    """Return what lies beneath the wrappers of torch.func's transformations.

    A tensor inside vmap gets its axis of samples back. No public name does it.
    Without this one the units of one sample are counted.
    """
    functorch = getattr(torch._C, '_functorch', None)
    is_wrapped: Any = getattr(functorch, 'is_functorch_wrapped_tensor', None)
    unwrap: Any = getattr(functorch, 'get_unwrapped', None)
    if is_wrapped is None or unwrap is None or is_compiling():
        return value
    while isinstance(value, Tensor) and is_wrapped(value):
        value = unwrap(value)
    return value


def beneath_transforms() -> contextlib.AbstractContextManager[Any]:
    """Return a context outside of torch.func's transformations.

    Within them torch refuses to change a tensor from outside, such as a count. No
    public name leaves them for a moment. Without this one torch goes on refusing.
    """
    if is_compiling():
        return contextlib.nullcontext()
    try:
        from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack
    except ImportError:
        return contextlib.nullcontext()
    return temporarily_clear_interpreter_stack()
