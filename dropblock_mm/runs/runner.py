"""Builds the runner that a config asks for, where there is no GPU too."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from dropblock_mm.runs.amp import fit_amp_to_device, has_accelerator
from dropblock_mm.runs.cpu_ranks import choose_port_of_job, join_ranks
from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses


def build_runner(cfg: Config) -> Runner:
    """Build the runner that the config asks for, where there is no GPU too.

    Raises:
        ValueError: Something in the config needs a GPU.
    """
    fit_amp_to_device(cfg)
    recompute_with_gradients(cfg)
    turn_channels_last(cfg)
    if cfg.get('launcher', 'none') == 'slurm':
        choose_port_of_job()
    if cfg.get('launcher', 'none') != 'none' and not has_accelerator():
        join_ranks(cfg)
    with refusing_what_mmengine_refuses(cfg):
        return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def recompute_with_gradients(cfg: Config) -> None:
    """Replace MMEngine's activation checkpointing, which loses gradients.

    Args:
        cfg (Config): ``activation_checkpointing`` becomes a custom hook.
    """
    modules = cfg.pop('activation_checkpointing', None)
    if modules:
        hook = {'type': 'dropblock_mm.ActivationCheckpointingHook', 'modules': modules}
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]


def turn_channels_last(cfg: Config) -> None:
    """Have the model built with the channels innermost.

    Args:
        cfg (Config): If it says ``channels_last=True``, its model is wrapped.
    """
    if cfg.pop('channels_last', False):
        cfg.model = {'type': 'dropblock_mm.ChannelsLast', 'model': cfg.model}
