"""Computing a module again in the backward pass, without a second effect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def recomputed(module: nn.Module, *inputs: Any) -> Any:
    """Call a module, keep its inputs alone, and call it again for its gradients.

    What it draws is drawn again: torch restores the state of the generators. But a
    batch norm would count the batch twice, so the second call leaves its statistics
    alone.

    Args:
        module: What to call.
        *inputs: What to call it with.
    """
    if torch.compiler.is_compiling():
        # There the graph is split, and nothing is called a second time.
        return checkpoint(module, *inputs, use_reentrant=False)
    return checkpoint(
        module,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), statistics_at_rest(module)),
    )


@contextmanager
def statistics_at_rest(module: nn.Module) -> Iterator[None]:
    """Let batch norms in training mode use a batch, and not remember it."""
    norms = [
        part
        for part in module.modules()
        if isinstance(part, _BatchNorm) and part.training and part.track_running_stats
    ]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
