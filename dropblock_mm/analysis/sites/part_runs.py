"""Run a model part by part, without what needs real numbers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from dropblock_mm.injection.adapters.blocks import contains_conv

# What holds the detector that is trained, in semi-supervised and tracking models.
_INNER_MODELS = ('student', 'detector')
# Heads that work on regions, and what cuts these out.
_REGION_HEADS = {
    'bbox_head': 'bbox_roi_extractor',
    'mask_head': 'mask_roi_extractor',
    'grid_head': 'grid_roi_extractor',
}


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
    size = tuple(images.shape[-2:])
    metas = [{'batch_input_shape': size, 'img_shape': size}] * len(images)
    for name, part in model.named_children() if features is not None else ():
        if name == 'roi_head':
            _run_region_heads(problems, name, part, features)
        elif 'head' in name:
            _run_heads(problems, name, part, features, metas)
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
    problems: dict[str, str],
    name: str,
    head: nn.Module,
    features: Any,
    metas: list[dict[str, Any]],
) -> None:
    """Run one head, or a cascade of which each gets the last one's output."""
    known: dict[str, Any] = {'batch_img_metas': metas}
    for index, part in enumerate(_listed(head)):
        # Heads of queries need the matching; before it comes a pixel decoder.
        part = getattr(part, 'pixel_decoder', part)
        known['prev_output'] = _attempt(
            problems, f'{name}[{index}]', part, features, known
        )


def _run_region_heads(
    problems: dict[str, str], name: str, parent: Any, features: Sequence[Tensor]
) -> None:
    """Run the heads of a two-stage detector on one region for each image."""
    for head in _listed(getattr(parent, 'semantic_head', None)):
        _attempt(problems, f'{name}.semantic_head', head, features)
    shared = getattr(parent, 'shared_head', None) or nn.Identity()
    boxes = _listed(getattr(parent, 'bbox_roi_extractor', None))
    images, channels = features[0].shape[:2]
    known: dict[str, Any] = {
        'proposal_feat': features[0].new_zeros(images, 1, channels)
    }
    for kind, extractor in _REGION_HEADS.items():
        extractors = _listed(getattr(parent, extractor, None)) or boxes
        for index, head in enumerate(_listed(getattr(parent, kind, None))):
            source = extractors[min(index, len(extractors) - 1)]
            if contains_conv(source):
                rois = features[0].new_zeros(images, 5)
                levels = features[: source.num_inputs]
                _attempt(
                    problems, f'{name}.{extractor}', source, levels, {'rois': rois}
                )
            size = source.roi_layers[0].output_size
            regions = features[0].new_zeros(images, channels, *size)
            part = f'{name}.{kind}[{index}]'
            regions = _attempt(problems, part, shared, regions)
            outputs = _attempt(problems, part, head, regions, known)
            # Of a cascade's mask heads each gets the last one's features.
            known['res_feat'] = outputs[-1] if isinstance(outputs, list) else None


def _listed(part: Any) -> list[Any]:
    if part is None:
        return []
    return list(part) if isinstance(part, nn.ModuleList) else [part]


def _attempt(
    problems: dict[str, str],
    name: str,
    part: nn.Module,
    first: Any,
    known: Mapping[str, Any] | None = None,
) -> Any:
    """Run a part; if it cannot, note why and return None."""
    try:
        return part(*_arguments(part.forward, first, known or {}))
    except Exception as error:  # whatever a model of someone else's may raise
        first_line = str(error).strip().partition('\n')[0]
        problems.setdefault(name, f'{type(error).__name__}: {first_line}')
        return None


def _arguments(
    forward: Callable[..., Any], first: Any, known: Mapping[str, Any]
) -> list[Any]:
    """Return what to call a part with: what is known by name, or the first again."""
    arguments = []
    for index, parameter in enumerate(inspect.signature(forward).parameters.values()):
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            break
        is_known = index > 0 and known.get(parameter.name) is not None
        if not is_known and parameter.default is not parameter.empty:
            break
        arguments.append(known[parameter.name] if is_known else first)
    return arguments or [first]
