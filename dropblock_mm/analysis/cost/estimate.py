"""The cost of a config: what is measured of it, and what is made of that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from dropblock_mm import runs
from dropblock_mm.analysis.cost import loading, step
from dropblock_mm.analysis.cost.gpus import GPUS, gpu_hours
from dropblock_mm.analysis.cost.loading import Loading
from dropblock_mm.analysis.cost.report import Estimate
from dropblock_mm.analysis.cost.step import Step
from dropblock_mm.analysis.cost.workload import CostError, Workload, workload
from dropblock_mm.runs.image_sizes import fixed_image_size
from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses


@dataclass(frozen=True)
class Settings:
    """How to measure. What is None follows from the config and the device.

    Args:
        device: 'cpu' or 'cuda'.
        batch_size: Images in the measured step; 2 on the CPU, the config's on a GPU.
        image_size: Height and width in pixels.
        num_images: Images in an epoch.
        steps: To time; 3 on the CPU, 30 on a GPU.
        amp: Whether in mixed precision, on a GPU.
        gpus: Names in ``GPUS`` to estimate for.
        tflops: Estimate for a GPU that sustains this instead, in 1e12 operations a
            second.
        load: How many images to load; 0 for none.
        load_from: Takes the place of ``data_root`` where images are loaded.
    """

    device: str = 'cpu'
    batch_size: int | None = None
    image_size: tuple[int, int] | None = None
    num_images: int | None = None
    steps: int | None = None
    amp: bool = False
    gpus: tuple[str, ...] = tuple(GPUS)
    tflops: float | None = None
    load: int = 64
    load_from: str | None = None

    @property
    def timed(self) -> int:
        """Steps to time."""
        return self.steps or (30 if self.device == 'cuda' else 3)

    @property
    def parts(self) -> int:
        """How often :func:`estimate` says that a part is done."""
        return 2 + step.WARM_UP[self.device] + self.timed


def estimate(
    name: str, settings: Settings, advance: Callable[[], object] = lambda: None
) -> Estimate:
    """Measure one config.

    Args:
        name: A path or 'package::path'.
        settings: How.
        advance: Called when the images are loaded, and after every step.
    """
    cfg = runs.load_config(name)
    with refusing_what_mmengine_refuses(cfg):
        return measure(cfg, name, settings, advance)


def measure(
    cfg: Config, name: str, settings: Settings, advance: Callable[[], object]
) -> Estimate:
    """Measure one config that was read."""
    runs.prepare_library(cfg)
    if cfg.get('default_scope'):
        init_default_scope(cfg.default_scope)
    if settings.amp:
        runs.enable_amp(cfg)
    run = workload(cfg, Path(name.rpartition('::')[2]).stem, settings.num_images)
    loaded = measure_loading(cfg, settings)
    advance()
    size = size_of_images(cfg, name, settings, loaded)
    on_gpu = settings.device == 'cuda'
    measured = step.measure(
        cfg,
        size,
        settings.batch_size or (run.batch_size if on_gpu else 2),
        settings.device,
        settings.timed,
        advance,
    )
    return Estimate(name, size, run, measured, hours(run, measured, settings), loaded)


def measure_loading(cfg: Config, settings: Settings) -> Loading | None:
    """Time the pipeline, if there are images and this was not turned off."""
    if not settings.load:
        return None
    try:
        return loading.measure(cfg, settings.load, settings.load_from)
    except FileNotFoundError as error:
        if settings.load_from:
            raise CostError(
                f'--load-from {settings.load_from!r}: {error}. Give a folder with '
                'images and annotations where the config expects them.'
            ) from error
        return None


def size_of_images(
    cfg: Config, name: str, settings: Settings, loaded: Loading | None
) -> tuple[int, int]:
    """Decide on height and width: command line, config, what was loaded."""
    if settings.image_size:
        return settings.image_size
    size = fixed_image_size(cfg) or (loaded.size if loaded else None)
    if size is None:
        raise CostError(
            f'{name}: its images differ in size, and there are none to load. Give '
            '--image-size H W, their mean, or a folder with some in --load-from.'
        )
    return size


def hours(run: Workload, measured: Step, settings: Settings) -> dict[str, float]:
    """Return GPU hours by GPU."""
    if settings.device == 'cuda':
        seconds = run.images / measured.images_per_second
        return {torch.cuda.get_device_name(): seconds / 3600}
    rates = {name: GPUS[name].sustained_tflops for name in settings.gpus}
    if settings.tflops:
        rates = {f'{settings.tflops:g} TFLOPS': settings.tflops}
    work = run.images * measured.tflop
    return {name: gpu_hours(work, rate) for name, rate in rates.items()}
