"""Find the sizes of the maps at a model's sites, without training it.

On the meta device tensors have a shape and no numbers, so that a forward pass takes
moments whatever the model. Nothing is dropped meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.utils.hooks import RemovableHandle

from dropblock_mm.injection.sites import Site

MapSize = tuple[int, int, int]


@contextmanager
def watch_maps(sites: Sequence[Site]) -> Iterator[list[list[MapSize]]]:
    """Yield, for each site, a list that fills with (C, H, W) of the maps it sees.

    Each size is listed once: a head that works on five levels has five. The layers
    are in eval mode meanwhile.
    """
    sizes: list[list[MapSize]] = [[] for _ in sites]
    modes = [site.layer.training for site in sites]
    handles = []
    for site, seen in zip(sites, sizes, strict=True):
        site.layer.eval()
        handles.append(_watch(site, seen))
    try:
        yield sizes
    finally:
        for handle in handles:
            handle.remove()
        for site, mode in zip(sites, modes, strict=True):
            site.layer.train(mode)


def _watch(site: Site, seen: list[MapSize]) -> RemovableHandle:
    def note(value: Any) -> None:
        if isinstance(value, Tensor) and value.dim() == 4:
            size = (value.shape[1], value.shape[2], value.shape[3])
            if size not in seen:
                seen.append(size)

    return site.place.way.watch(note)


def build_on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a model without memory for its weights.

    Args:
        build: Builds the model; called again if it needs real numbers.

    Returns:
        nn.Module: The model on the meta device, in training mode.
    """
    model = _build_small(build)
    model.to('meta')  # some parameters, such as L2Norm's, are on the CPU all the same
    model.train()
    for module in model.modules():
        if _is_deformable(module):
            module.forward = partial(_plain_conv, module)
    return model


def _build_small(build: Callable[[], nn.Module]) -> nn.Module:
    """Build with as little memory as the model lets us."""
    # Many list their rates by torch.linspace and read them; few read parameters.
    for place in (partial(torch.device, 'meta'), _parameters_on_meta):
        try:
            with place():
                return build()
        except (NotImplementedError, RuntimeError):
            continue
    return build()


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Take the memory of every parameter as soon as a module has it.

    What fills it with random numbers finds it on the meta device and does nothing.
    """

    # It may return another parameter, of which torch's type of hooks does not know.
    def move(module: nn.Module, name: str, parameter: nn.Parameter | None) -> Any:
        if parameter is None or parameter.is_meta:
            return None  # as it is
        return nn.Parameter(parameter.to('meta'), parameter.requires_grad)

    handle = register_module_parameter_registration_hook(move)
    try:
        yield
    finally:
        handle.remove()


def _is_deformable(module: nn.Module) -> bool:
    named = 'DeformConv' in type(module).__name__
    return named or getattr(module, 'use_deform', False)


def _plain_conv(conv: Any, x: Tensor, *offsets: Tensor) -> Tensor:
    """Stand in for a deformable convolution, which the meta device cannot run.

    It returns a map of the same size.
    """
    settings = conv.stride, conv.padding, conv.dilation, conv.groups
    return functional.conv2d(x, conv.weight, None, *settings)


def to_cpu(model: nn.Module) -> nn.Module:
    """Give a model of the meta device weights of zero on the CPU, in place."""
    model.to_empty(device='cpu')
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    return model
