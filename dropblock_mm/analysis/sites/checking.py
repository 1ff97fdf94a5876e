"""Refuses hooks that do not fit a model, without training it."""

from __future__ import annotations

from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope

from dropblock_mm.analysis.sites.config_report import find_hooks
from dropblock_mm.analysis.sites.dry_run import build_on_meta
from dropblock_mm.analysis.sites.stock_models import WEIGHTS, without
from dropblock_mm.hooks.fragments import uses_drop_block
from dropblock_mm.injection import inject_targets
from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses


def check_targets(cfg: Config) -> int:
    """Build a config's model on the meta device, and inject what its hooks say.

    Args:
        cfg (Config): Its library is prepared.

    Returns:
        int: The number of sites; 0 without hooks of this package.

    Raises:
        RefusedError: A hook has arguments that it does not take, or a target names no
            module or no site.
    """
    if not uses_drop_block(cfg):
        return 0
    if cfg.get('default_scope'):
        init_default_scope(cfg.default_scope)
    with refusing_what_mmengine_refuses(cfg):
        injections, _ = find_hooks(cfg)
        plain = ConfigDict(without(cfg.model, WEIGHTS))
        model = build_on_meta(lambda: MODELS.build(plain))
    targets = [target for hook in injections for target in hook.targets]
    return len(inject_targets(model, targets))
