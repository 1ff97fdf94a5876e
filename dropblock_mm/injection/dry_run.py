"""Find the sizes of the maps at a model's sites, without training it.

On the meta device tensors have a shape and no numbers, so that a forward pass takes
moments whatever the model. Nothing is dropped meanwhile.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dropblock_mm.injection.sites import Site

# What holds the detector that is trained, in semi-supervised and tracking models.
_INNER_MODELS = ('student', 'detector')
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


def _watch(site: Site, seen: list[MapSize]) -> Any:
    def note(value: Any) -> None:
        if isinstance(value, Tensor) and value.dim() == 4:
            size = (value.shape[1], value.shape[2], value.shape[3])
            if size not in seen:
                seen.append(size)

    def note_output(module: nn.Module, inputs: Any, output: Any) -> None:
        note(output)

    def note_input(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        note(inputs[0])

    place = site.place
    if place.after is not None:
        return place.after.register_forward_hook(note_output)
    if place.slot is not None or place.branch is not None:
        return site.layer.register_forward_pre_hook(note_input)
    return place.owner.register_forward_pre_hook(note_input)


def build_on_meta(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a model without memory for its weights.

    Args:
        build: Builds the model; called again on the CPU if it needs real numbers.

    Returns:
        nn.Module: The model on the meta device, in training mode.
    """
    try:
        with torch.device('meta'):
            model = build()
    except (NotImplementedError, RuntimeError):
        model = build().to('meta')
    model.train()
    return model


def to_cpu(model: nn.Module) -> nn.Module:
    """Give a model of the meta device weights of zero on the CPU, in place."""
    model.to_empty(device='cpu')
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    return model


@torch.no_grad()
def run_parts(model: nn.Module, images: Tensor) -> dict[str, str]:
    """Run backbone, neck and every head of a detector or segmentor, one by one.

    What lies between (assigning boxes, matching queries) needs real numbers and holds
    no convolution, so it is left out. A part that fails does not end the run: not
    every head can be called on feature maps alone.

    Args:
        model: A detector, segmentor or backbone.
        images: Tensor[N, 3, H, W]; on the meta device it takes moments.

    Returns:
        dict[str, str]: The parts that did not run, and the reason of each.
    """
    for name in _INNER_MODELS:
        if hasattr(model, name):
            return run_parts(getattr(model, name), images)
    problems: dict[str, str] = {}
    features = _extract(problems, model, images)
    for name, part in model.named_children() if features is not None else ():
        if name == 'roi_head':
            _run_roi_head(problems, part, features)
        elif 'head' in name:
            _run_heads(problems, name, part, features)
    return problems


def _extract(problems: dict[str, str], model: Any, images: Tensor) -> Any:
    """Return the features of backbone and neck; a lone backbone's outputs as well."""
    if not hasattr(model, 'backbone'):
        return _attempt(problems, 'backbone', model, images)
    features = _attempt(problems, 'backbone', model.backbone, images)
    if features is None or getattr(model, 'neck', None) is None:
        return features
    return _attempt(problems, 'neck', model.neck, features)


def _run_heads(
    problems: dict[str, str], name: str, head: nn.Module, features: Any
) -> None:
    """Run one head, or a cascade of which each gets the last one's output."""
    previous: Any = None
    for index, part in enumerate(_listed(head)):
        # Heads of queries need the matching; before it comes a pixel decoder.
        part = getattr(part, 'pixel_decoder', part)
        refines = 'prev_output' in inspect.signature(part.forward).parameters
        arguments = (features, previous) if refines else (features,)
        previous = _attempt(problems, f'{name}[{index}]', part, *arguments)


def _run_roi_head(
    problems: dict[str, str], roi_head: Any, features: Sequence[Tensor]
) -> None:
    """Run the heads of a two-stage detector on one region for each image."""
    for head in _listed(getattr(roi_head, 'semantic_head', None)):
        _attempt(problems, 'roi_head.semantic_head', head, features)
    shared = getattr(roi_head, 'shared_head', None) or nn.Identity()
    boxes = _listed(getattr(roi_head, 'bbox_roi_extractor', None))
    for kind in ('bbox', 'mask'):
        extractors = _listed(getattr(roi_head, f'{kind}_roi_extractor', None)) or boxes
        for index, head in enumerate(_listed(getattr(roi_head, f'{kind}_head', None))):
            layer = extractors[min(index, len(extractors) - 1)].roi_layers[0]
            images, channels = features[0].shape[:2]
            regions = features[0].new_zeros(images, channels, *layer.output_size)
            name = f'roi_head.{kind}_head[{index}]'
            regions = _attempt(problems, name, shared, regions)
            _attempt(problems, name, head, *[regions] * _num_inputs(head))


def _num_inputs(module: nn.Module) -> int:
    """Count the inputs that a module cannot do without."""
    inputs = inspect.signature(module.forward).parameters.values()
    return sum(
        i.default is i.empty and i.kind is i.POSITIONAL_OR_KEYWORD for i in inputs
    )


def _listed(part: Any) -> list[Any]:
    if part is None:
        return []
    return list(part) if isinstance(part, nn.ModuleList) else [part]


def _attempt(
    problems: dict[str, str], name: str, part: Callable[..., Any], *inputs: Any
) -> Any:
    """Run a part; if it cannot, note why and return None."""
    try:
        return part(*inputs)
    except Exception as error:  # whatever a model of someone else's may raise
        first_line = str(error).strip().partition('\n')[0]
        problems.setdefault(name, f'{type(error).__name__}: {first_line}')
        return None
