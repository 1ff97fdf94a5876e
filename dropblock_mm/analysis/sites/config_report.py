"""What a config's sites are: its model built and run once, without weights."""

from __future__ import annotations

from dataclasses import dataclass

from mmengine.config import Config, ConfigDict
from mmengine.registry import HOOKS, MODELS, init_default_scope
from torch import nn

from dropblock_mm import InjectionHook, KeepProbScheduleHook, runs
from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.analysis.sites.site_rows import Report, measure, site_row
from dropblock_mm.analysis.sites.stock_models import WEIGHTS, without
from dropblock_mm.hooks.fragments import with_fragment
from dropblock_mm.injection import Defaults, Target, inject_targets, parse_targets
from dropblock_mm.runs.image_sizes import nominal_image_size
from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses
from dropblock_mm.runs.replaced_hooks import replaced_hooks

DETECTION_SIZE = (800, 1344)  # of most of mmdet's configs, where one says nothing


def report_of(
    config: str,
    fragment: str | None = None,
    *,
    input_size: tuple[int, int] | None = None,
    keep_prob: float = 0.9,
    block_size: int = 7,
) -> Report:
    """Build the model, find its sites, run it once.

    Args:
        config: A path or 'package::path'.
        fragment: Name or file of hooks to add.
        input_size: Height and width of the images; as the config trains if None.
        keep_prob: Where no schedule and no target sets one.
        block_size: Where no hook sets one.
    """
    cfg = runs.load_config(config, extend=with_fragment(fragment))
    runs.prepare_library(cfg)
    parts = build_parts(cfg)
    model, targets = parts.model, parts.targets
    active = bool(targets)
    if not active:
        every = Defaults(options={'block_size': block_size}, owner='print_sites')
        targets = parse_targets([{'module': ''}], every)
    keep_prob = parts.schedules[0].keep_prob if parts.schedules else keep_prob
    sites = inject_targets(model, targets)
    height, width = input_size or nominal_image_size(cfg) or DETECTION_SIZE
    rows = [site_row(site, keep_prob) for site in sites]
    notes = measure(model, sites, rows, (height, width))
    lost = replaced_hooks(config, cfg)
    said = [*parts.taken, *notes, *([f'{lost}.'] if lost else [])]
    return Report(config, (height, width), rows, said, active)


@dataclass(frozen=True)
class Parts:
    """What a config's hooks of this package need.

    Args:
        model: On the meta device.
        targets: Of all injections, those that look at the model included.
        schedules: The schedules.
        taken: What looking at the model found, a sentence each.
    """

    model: nn.Module
    targets: list[Target]
    schedules: list[KeepProbScheduleHook]
    taken: list[str]


def build_parts(cfg: Config) -> Parts:
    """Build a config's model on the meta device, and its hooks.

    Args:
        cfg (Config): Its library is prepared.
    """
    if cfg.get('default_scope'):
        init_default_scope(cfg.default_scope)
    with refusing_what_mmengine_refuses(cfg):
        injections, schedules = find_hooks(cfg)
        plain = ConfigDict(without(cfg.model, WEIGHTS))
        model = build_on_meta(lambda: MODELS.build(plain))
    taken = [f'{text}.' for hook in injections if (text := hook.look_at(model))]
    targets = [target for hook in injections for target in hook.targets]
    return Parts(model, targets, schedules, taken)


def find_hooks(cfg: Config) -> tuple[list[InjectionHook], list[KeepProbScheduleHook]]:
    """Build the hooks of this package that a config has."""
    hooks = [
        HOOKS.build(hook)
        for hook in cfg.get('custom_hooks') or []
        if 'dropblock_mm' in str(hook.get('type'))
    ]
    return (
        [hook for hook in hooks if isinstance(hook, InjectionHook)],
        [hook for hook in hooks if isinstance(hook, KeepProbScheduleHook)],
    )
