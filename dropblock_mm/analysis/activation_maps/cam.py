"""CAM (Zhou et al., 2016), Grad-CAM (Selvaraju et al., 2017) and HiResCAM.

All weight the maps of a layer and add them up: by the classifier's own weights, by the
mean gradient of a score, or by its gradient at each cell (Draelos and Carin, 2020).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from dropblock_mm.analysis.activation_maps.keep_gradients import KeepGradients
from dropblock_mm.analysis.activation_maps.tokens import Grid, last_attended
from dropblock_mm.errors import RefusedValueError

# Of an attention they give a matrix, Tensor[1, heads, L, L], as if it were a map.
_OF_ATTENTION = (nn.Dropout, nn.Softmax, nn.Identity)


def class_activation_map(maps: Tensor, weights: Tensor) -> Tensor:
    """Return sum_k w_k A_k, not below 0: what the layer says for a class, and where.

    Args:
        maps: Tensor[K, H, W], before global average pooling.
        weights: Tensor[K], of the class in the linear classifier behind it.
    """
    return torch.einsum('k,khw->hw', weights, maps).clamp_min(0)


def grad_cam(maps: Sequence[Tensor], score: Tensor) -> Tensor:
    """Return relu(sum_k mean(dS/dA_k) A_k).

    Args:
        maps: Tensor[1, K, H, W], leaves that the score was computed from; of several,
            such as the levels of a pyramid, the one with the steepest gradient counts.
        score: Tensor[].

    Raises:
        RefusedValueError: The score does not depend on the maps.
    """
    map_, gradient = _steepest(maps, score)
    return class_activation_map(map_, gradient.mean(dim=(1, 2)))


def hires_cam(maps: Sequence[Tensor], score: Tensor) -> Tensor:
    """Return relu(sum_k dS/dA_k * A_k), each cell with the gradient at itself.

    It is for what depends on a part of the map, as a detector's box does: the mean of
    Grad-CAM lights up everything in the image that looks like it (Zhao and Chan, 2023,
    "Gradient-based Instance-Specific Visual Explanations for Object Detection").

    Args:
        maps: As :func:`grad_cam` takes them.
        score: Tensor[].

    Raises:
        RefusedValueError: The score does not depend on the maps.
    """
    map_, gradient = _steepest(maps, score)
    return (gradient * map_).sum(dim=0).clamp_min(0)


def _steepest(maps: Sequence[Tensor], score: Tensor) -> tuple[Tensor, Tensor]:
    """Return a map and its gradient, Tensor[K, H, W] each."""
    gradients: Sequence[Tensor | None] = [None]
    if score.requires_grad:
        gradients = torch.autograd.grad(score, list(maps), allow_unused=True)
    known = [
        (map_, gradient)
        for map_, gradient in zip(maps, gradients, strict=False)
        if gradient is not None
    ]
    if not known:
        raise RefusedValueError(
            'the prediction has no gradient to the layer, so that there is no '
            'activation map of it. Name a layer in front of what predicts it, by '
            '--layer.'
        )
    slopes = [float(gradient.abs().sum()) for _, gradient in known]
    if not all(map(math.isfinite, slopes)):
        raise RefusedValueError(
            'the gradient of the prediction is not finite: numbers overflow in this '
            'model, as in one whose training diverged. Look at its losses, and take an '
            'earlier checkpoint.'
        )
    steepest, gradient = known[slopes.index(max(slopes))]
    return steepest[0].detach(), gradient[0]


class Watched:
    """The maps of a layer, in one pass.

    Args:
        with_gradient: Begin a graph at the layer; what is before it has none, and
            costs what it costs without gradients.
    """

    def __init__(self, with_gradient: bool) -> None:
        self.with_gradient = with_gradient
        self.maps: list[Tensor] = []
        self.grid = Grid()
        self.last: str | None = None  # path in the layer of what gave its last map
        self.attended: str | None = None  # and of what its last block attends to

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> Any:
        """Forward hook: keep the maps of the output, and let leaves stand in."""
        self.maps = []
        through = self._stand_in(output)
        return through if self.with_gradient else None

    def _stand_in(self, value: Any) -> Any:
        if isinstance(value, (tuple, list)):  # DPT's has maps with a token each
            return type(value)(self._stand_in(part) for part in value)
        if not isinstance(value, Tensor):
            return value
        tokens = self.grid.extra(value) is not None
        if value.dim() != 4 and not tokens:
            return value
        with torch.no_grad():  # not detach, which is let pass around this
            leaf = (self.grid.as_map(value) if tokens else value).clone()
        self.maps.append(leaf)
        if not self.with_gradient:
            return value
        through = leaf.requires_grad_().clone()  # what follows may write into it
        return self.grid.with_map(value, through) if tokens else through

    def found(self, layer: str) -> list[Tensor]:
        """Return the maps, each Tensor[1, K, H, W].

        Raises:
            RefusedValueError: The layer was not passed, or gives no maps.
        """
        if not self.maps:
            hint = 'Name one that does, in front of it.'
            within = self.attended or self.last
            if within is not None:
                hint = f"Name one that does, such as '{layer}.{within}'."
            raise RefusedValueError(
                f'--layer {layer!r} gave no map (N, C, H, W), and no tokens of one. '
                f'{hint}'
            )
        if len(self.maps[0]) > 1:
            raise RefusedValueError(
                f'--layer {layer!r} gave maps of {len(self.maps[0])} regions, and the '
                "image's are wanted. Name a layer in front of it, such as 'backbone'."
            )
        return self.maps


def _note(
    watched: Watched, name: str, module: nn.Module, inputs: Any, output: Any
) -> None:
    """Forward hook of a layer's part: note the last with a map of several cells."""
    for part in output if isinstance(output, (tuple, list)) else [output]:
        if not isinstance(part, Tensor) or isinstance(module, _OF_ATTENTION):
            continue
        is_map = part.dim() == 4 and len(part) == 1 and part[0, 0].numel() > 1
        # A class token in front may be all that counts from here on.
        if is_map or watched.grid.extra(part) == 0:
            watched.last = name


@contextmanager
def watching(
    model: nn.Module,
    layer: nn.Module,
    with_gradient: bool,
    through_detach: bool = False,
) -> Iterator[Watched]:
    """Around one pass of a model: keep a layer's maps, and the graph behind them.

    Args:
        model: The model.
        layer: A module of it.
        with_gradient: Keep the graph from the layer on.
        through_detach: And keep it where it is cut, as mmdet's heads do.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    watched = Watched(with_gradient)
    watched.attended = last_attended(layer)
    handles = [m.register_forward_hook(watched.grid) for m in model.modules()]
    handles.append(layer.register_forward_hook(watched))
    for name, part in layer.named_modules():
        if name:
            handles.append(part.register_forward_hook(partial(_note, watched, name)))
    try:
        for parameter in trained:
            parameter.requires_grad_(False)
        if with_gradient:
            mode = KeepGradients() if through_detach else nullcontext()
            with torch.enable_grad(), mode:
                yield watched
        else:
            with torch.no_grad():
                yield watched
    finally:
        for handle in handles:
            handle.remove()
        for parameter in trained:
            parameter.requires_grad_(True)
