"""Refuses hooks that do not fit a model, without training it."""

from __future__ import annotations

from mmengine.config import Config

from dropblock_mm.analysis.sites.config_report import build_parts
from dropblock_mm.hooks.fragments import uses_drop_block
from dropblock_mm.injection import inject_targets


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
    parts = build_parts(cfg)
    return len(inject_targets(parts.model, parts.targets))
