"""One training step of a config: its operations, its time and its memory."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import HOOKS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dropblock_mm import InjectionHook, KeepProbScheduleHook, ScheduledDrop
from dropblock_mm.analysis.sites.stock_models import builder
from dropblock_mm.injection import inject_targets
from dropblock_mm.runs.settings import whole_model
from dropblock_mm.runs.type_names import library_of, type_name

# Steps behind the one that is counted, which already warms up.
WARM_UP = {'cpu': 0, 'cuda': 10}
OBJECTS = 7  # in an image; COCO has 7.3 on average
Call = Callable[[], object]


@dataclass(frozen=True)
class Step:
    """What was measured.

    Args:
        tflop: Forward and backward of one image, in 1e12 floating-point operations.
        seconds: Median time of a step.
        core_seconds: Median time that the step keeps cores busy, all of them together;
            on a machine that others use too it says more.
        batch_size: Images in it.
        sites: Number of DropBlock layers in the model.
        memory_gib: Largest allocation on the GPU; None on the CPU.
    """

    tflop: float
    seconds: float
    core_seconds: float
    batch_size: int
    sites: int
    memory_gib: float | None = None

    @property
    def images_per_second(self) -> float:
        """Of the measured step."""
        return self.batch_size / self.seconds


def measure(
    cfg: Config,
    size: tuple[int, int],
    batch_size: int,
    device: str,
    steps: int,
    advance: Call = lambda: None,
) -> Step:
    """Count and time training steps, with DropBlock at its final rate.

    Args:
        cfg (Config): The whole config; its weights are not loaded.
        size: Height and width of the images, which are noise with random boxes.
        batch_size: Images in a step.
        device: 'cpu' or 'cuda'.
        steps: How many are timed, after some that are not.
        advance: Called after every step, the untimed ones too.
    """
    torch.manual_seed(0)
    build = builder(cfg.get('default_scope'), whole_model(cfg))
    model = cast(BaseModel, build())
    model.to(device).train()
    sites = add_drop_block(model, cfg)
    optim_wrapper = build_optim_wrapper(model, optimizer_for(cfg, device))
    batch = random_batch(cfg, size, batch_size)
    step = lambda: model.train_step(batch, optim_wrapper)  # noqa: E731
    flop = count_flop(step)
    advance()
    seconds, core_seconds = median_times(step, steps, device, advance)
    memory = torch.cuda.max_memory_allocated() / 2**30 if device == 'cuda' else None
    tflop = flop / batch_size / 1e12
    return Step(tflop, seconds, core_seconds, batch_size, sites, memory)


def add_drop_block(model: nn.Module, cfg: Config) -> int:
    """Inject as the config's hooks would, at the last rate; return the layers."""
    hooks = [
        HOOKS.build(hook)
        for hook in cfg.get('custom_hooks') or []
        if 'dropblock_mm' in str(hook.get('type'))
    ]
    for hook in hooks:
        if isinstance(hook, InjectionHook):
            inject_targets(model, hook.targets_for(model))
    layers = [m for m in model.modules() if isinstance(m, ScheduledDrop)]
    for hook in hooks:
        if isinstance(hook, KeepProbScheduleHook):
            for layer in layers:
                own = layer.final_keep_prob
                layer.set_keep_prob(hook.keep_prob if own is None else own)
    return len(layers)


def optimizer_for(cfg: Config, device: str) -> dict[str, Any]:
    """Return the optimizer's config; on the CPU without mixed precision."""
    wrapper = cfg.optim_wrapper.to_dict()
    if device == 'cpu' and type_name(wrapper) == 'AmpOptimWrapper':
        wrapper['type'] = 'OptimWrapper'
        for key in ('loss_scale', 'dtype', 'use_fsdp'):
            wrapper.pop(key, None)
    return wrapper


def random_batch(
    cfg: Config, size: tuple[int, int], batch_size: int
) -> Mapping[str, Any]:
    """Return images of noise with annotations, as the config's library packs them."""
    if library_of(cfg) == 'mmseg':
        return _segmentation_batch(size, batch_size)
    if library_of(cfg) == 'mmpretrain':
        return _classification_batch(size, batch_size)
    from mmdet.testing import demo_mm_inputs

    batch = demo_mm_inputs(
        batch_size,
        [(3, *size)] * batch_size,
        num_items=[OBJECTS] * batch_size,
        with_mask='mask_head' in (cfg.model.get('roi_head') or {}),
    )
    for sample in batch['data_samples']:
        sample.gt_instances.labels.zero_()  # a class that every model has
    return batch


def _segmentation_batch(size: tuple[int, int], batch_size: int) -> dict[str, Any]:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    labels = PixelData(data=torch.zeros((1, *size), dtype=torch.long))
    samples = [SegDataSample(gt_sem_seg=labels) for _ in range(batch_size)]
    return {'inputs': list(_noise(size, batch_size)), 'data_samples': samples}


def _classification_batch(size: tuple[int, int], batch_size: int) -> dict[str, Any]:
    from mmpretrain.structures import DataSample

    samples = [DataSample().set_gt_label(0) for _ in range(batch_size)]
    # Its loaders stack images.
    return {'inputs': _noise(size, batch_size), 'data_samples': samples}


def _noise(size: tuple[int, int], batch_size: int) -> torch.Tensor:
    return torch.randint(0, 255, (batch_size, 3, *size), dtype=torch.uint8)


def count_flop(step: Call) -> int:
    """Count the operations of convolutions and matrix products.

    As torch does, but for the backward of convolutions: torch 2.14 counts it as if all
    had one group, for a depthwise one of 64 channels 33 times too much.
    """
    own = {torch.ops.aten.convolution_backward: convolution_backward_flop}
    with FlopCounterMode(display=False, custom_mapping=own) as counter:
        step()
    return int(counter.get_total_flops())


def convolution_backward_flop(
    grad_out: Sequence[int],
    x: Sequence[int],
    weight: Sequence[int],
    *args: Any,
    out_shape: Any = None,
) -> int:
    """Count what the gradients of a convolution take: each as much as its forward.

    Args:
        grad_out: Shape [N, C_out, *size_out] of the output's gradient.
        x: Shape [N, C_in, *size_in] of the input.
        weight: Shape of the weight; its product has the groups in it.
        *args: The operator's other arguments: bias, stride, padding, dilation,
            transposed, output padding, groups and which gradients are asked for.
        out_shape: Of those.
    """
    transposed, asked = args[4], args[7]
    places = x if transposed else grad_out
    forward = 2 * places[0] * math.prod(places[2:]) * math.prod(weight)
    return forward * (asked[0] + asked[1])


def median_times(
    step: Call, steps: int, device: str, advance: Call = lambda: None
) -> tuple[float, float]:
    """Return the medians of a step's time and of its time on cores, in seconds."""
    times = []
    for _ in range(WARM_UP[device] + steps):
        times.append(_time(step, device))
        advance()
    wall, cores = zip(*times[WARM_UP[device] :], strict=True)
    return statistics.median(wall), statistics.median(cores)


def _time(step: Call, device: str) -> tuple[float, float]:
    before = time.perf_counter(), time.process_time()
    step()
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - before[0], time.process_time() - before[1]
