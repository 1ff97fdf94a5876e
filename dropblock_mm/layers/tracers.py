"""What torch.fx's tracers see of a layer: one node, whatever their leaves are."""

from __future__ import annotations

from typing import Any

from torch import fx, nn


def is_traced_by_fx(x: Any) -> bool:
    """Tell whether torch.fx traces, which passes proxies of tensors."""
    return isinstance(x, fx.Proxy)


def one_node(layer: nn.Module, x: Any) -> Any:
    """Return the proxy of a call of the layer, as for a leaf of the tracer.

    The traced module then holds the layer itself, which follows its mode and its
    schedule. A tracer takes modules of torch alone for leaves, and would record one
    branch of every condition in others.

    Args:
        layer: A part of the model that is traced.
        x: Proxy of the layer's input.
    """
    path = x.tracer.path_of_module(layer)
    return x.tracer.create_proxy('call_module', path, (x,), {})
