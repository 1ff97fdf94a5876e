"""Read the effective keep rate from the layers' counts."""

from __future__ import annotations

from collections.abc import Iterable

from mmengine.runner import Runner
from torch import nn

from dropblock_mm.layers import DropBlock2d


def drop_block_layers(model: nn.Module) -> list[DropBlock2d]:
    """Return every DropBlock2d of a model, injected or built by its config."""
    return [module for module in model.modules() if isinstance(module, DropBlock2d)]


def take_counts(layers: Iterable[DropBlock2d]) -> tuple[int, int]:
    """Return (kept, seen) units of all layers together, and reset the counts."""
    kept = seen = 0
    for layer in layers:
        kept += int(layer.kept_units)
        seen += int(layer.seen_units)
        layer.reset_count()
    return kept, seen


def log_keep_rate(runner: Runner, name: str, counts: tuple[int, int]) -> None:
    """Log kept / seen as a training scalar; a layer that saw nothing has none."""
    kept, seen = counts
    if seen:
        runner.message_hub.update_scalar(f'train/{name}', kept / seen)
