"""Traces an injected model, with its layers as nodes of the graph."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from torch import fx, nn

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.injection.places import calls_of
from dropblock_mm.injection.sites import Site


def trace(
    model: nn.Module, sites: Sequence[Site], tracer: fx.Tracer | None = None
) -> fx.GraphModule:
    """Trace a model with torch.fx, so that every layer is a node and none a hook.

    Passes over the graph, and what replaces its modules, as ``prepare_qat_fx`` does,
    then keep the layers. They move into the graph: the model is left as it was before
    they were injected. Both hold the same parameters.

    Args:
        model: What was injected, in the mode that the graph is for.
        sites: What :func:`~dropblock_mm.inject` returned, all of it.
        tracer: Of your own, in the place of ``torch.fx.Tracer``.

    Returns:
        GraphModule: In the model's mode. It takes part in ``train()``, ``eval()`` and
        the schedule as a model does, and its state_dict has the model's keys.

    Raises:
        ValueError: A site is not in the model, or its block is not called in the
            graph. The model is unchanged.

    Examples:
        >>> sites = inject_drop_block(          # doctest: +SKIP
        ...     model, [dict(module='layer4')], keep_prob=0.9)
        >>> prepared = prepare_qat_fx(          # doctest: +SKIP
        ...     trace(model, sites), qconfig_mapping, example_inputs)
    """
    paths = {id(module): name for name, module in model.named_modules()}
    layers = [paths.get(id(site.layer)) for site in sites]
    if None in layers:
        raise RefusedValueError(
            f'{sites[layers.index(None)]!r} is not in the model that is to be traced. '
            'Give the model that was injected, and the sites of that.'
        )
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', '.* forward hook, which torch.fx')
        graph = (tracer or fx.Tracer()).trace(model)
    traced = fx.GraphModule(model, graph)
    # Hooks of one module work in the order of their sites.
    for site, layer in reversed([*zip(sites, map(str, layers), strict=True)]):
        traced.add_submodule(layer, site.layer)
        site.place.way.enter_graph(traced, layer)
        if not calls_of(site.layer, traced):
            raise RefusedValueError(
                f'{site!r} has no place in the traced graph: its block is one node of '
                'it, or is not called. Have the tracer look into that block '
                '(is_leaf_module), or do not inject it.'
            )
    for site in sites:
        site.undo()
    traced.recompile()
    return traced.train(model.training)
