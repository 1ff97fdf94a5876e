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
        GraphModule: Each module of it is in the mode that it has in the model. It takes
        part in ``train()``, ``eval()`` and the schedule as a model does, and its
        state_dict has the model's keys. But its ``train()`` is torch's: call that of
        the model behind it, where this keeps some modules in eval mode, as
        OpenMMLab's do with ``norm_eval`` and ``frozen_stages``.

    Raises:
        ValueError: A site is not in the model, or its block is not called in the
            graph, or torch.fx cannot follow the model. The model is unchanged.

    Examples:
        >>> sites = inject_drop_block(          # doctest: +SKIP
        ...     model, [dict(module='layer4')], keep_prob=0.9)
        >>> prepared = prepare_qat_fx(          # doctest: +SKIP
        ...     trace(model, sites), qconfig_mapping, example_inputs)
    """
    paths = {id(module): name for name, module in model.named_modules()}
    modes = {name: module.training for name, module in model.named_modules()}
    layers = [paths.get(id(site.layer)) for site in sites]
    if None in layers:
        raise RefusedValueError(
            f'{sites[layers.index(None)]!r} is not in the model that is to be traced. '
            'Give the model that was injected, and the sites of that.'
        )
    traced = fx.GraphModule(model, _record(model, tracer or fx.Tracer()))
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
    for name, module in traced.named_modules():
        module.training = modes.get(name, model.training)
    return traced


def _record(model: nn.Module, tracer: fx.Tracer) -> fx.Graph:
    """Record what a model calls; its hooks warn of themselves elsewhere."""
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', '.* forward hook, which torch.fx')
        try:
            return tracer.trace(model)
        except fx.proxy.TraceError as error:
            raise RefusedValueError(
                f'torch.fx cannot follow {type(model).__name__}: {error}. A condition '
                "on a tensor is such a thing, as OpenMMLab's blocks have with "
                'with_cp=True. Build it without, or give a tracer that takes that '
                'module for a leaf.'
            ) from error
