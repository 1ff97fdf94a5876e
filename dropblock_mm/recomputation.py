"""Computing a module again in the backward pass, without a second effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

# What remembers the batches that it has seen.
_NORMS = (
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
    nn.SyncBatchNorm,
    nn.InstanceNorm1d,
    nn.InstanceNorm2d,
    nn.InstanceNorm3d,
)


def recomputed(module: nn.Module, *inputs: Any) -> Any:
    """Call a module, keep its inputs alone, and call it again for its gradients.

    Args:
        module: What to call.
        *inputs: What to call it with.
    """
    return recomputed_forward(module, module, *inputs)


def recomputed_forward(
    module: nn.Module, forward: Callable[..., Any], *inputs: Any, **named: Any
) -> Any:
    """Call what computes a module, such as its forward, as :func:`recomputed` does.

    What it draws is drawn again: torch restores the state of the generators. But a
    batch norm would count the batch twice, so the second call leaves its statistics
    alone.

    Args:
        module: The module, whose norms are meant.
        forward: What to call.
        *inputs: What to call it with.
        **named: What to call it with, by name.
    """
    if torch.compiler.is_compiling():
        # There the graph is split, and nothing is called a second time.
        return checkpoint(forward, *inputs, use_reentrant=False, **named)
    return checkpoint(
        forward,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), statistics_at_rest(module)),
        **named,
    )


@contextmanager
def statistics_at_rest(module: nn.Module) -> Iterator[None]:
    """Let norms in training mode use a batch, and not remember it.

    They go on handing their statistics to the same operation, with a momentum of 0:
    torch wants to see the second call save as many tensors as the first one.
    """
    norms = [
        part
        for part in module.modules()
        if isinstance(part, _NORMS) and part.training and part.track_running_stats
    ]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, batches) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, batches
