"""Builds the runner that a config asks for, where there is no GPU too."""

from __future__ import annotations

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from dropblock_mm.runs.amp import fit_amp_to_device, has_accelerator
from dropblock_mm.runs.cpu_ranks import choose_port_of_job, join_ranks
from dropblock_mm.runs.folders import make_work_dir
from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses
from dropblock_mm.runs.vis_backends import naming_failed_backend

_VISUALIZER = 'visualizer'


def build_runner(cfg: Config) -> Runner:
    """Build the runner that the config asks for, where there is no GPU too.

    Raises:
        ValueError: Something in the config needs a GPU.
        FileNotFoundError: Its work dir cannot be made.
        RefusedError: A class that it names is not there, or does not take what it is
            given; or a backend of its visualizer cannot start.
    """
    fit_amp_to_device(cfg)
    recompute_with_gradients(cfg)
    plain_model = cfg.get('model')
    turned = turn_channels_last(cfg)
    named = leave_name_to_runner(cfg)
    if cfg.get('launcher', 'none') == 'slurm':
        choose_port_of_job()
    if cfg.get('launcher', 'none') != 'none' and not has_accelerator():
        join_ranks(cfg)
    if is_main_process() and cfg.get('work_dir'):
        make_work_dir(cfg)
    with refusing_what_mmengine_refuses(cfg), naming_failed_backend(cfg):
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    if turned:
        runner.cfg.model = plain_model
        runner.cfg.channels_last = True
    if named:
        runner.cfg.visualizer.name = _VISUALIZER
    if turned or named:  # for whoever opens the run's config
        runner.dump_config()
    return runner


def leave_name_to_runner(cfg: Config) -> bool:
    """Have the visualizer named by the run: one process may train several.

    MMEngine makes one visualizer for each name, and writes to its first run's folder.

    Args:
        cfg (Config): The usual name of its visualizer, or none, is taken out.

    Returns:
        bool: Whether the config that is written should have that name, which tools
        such as mmdet's browse_dataset ask for.
    """
    visualizer = cfg.get('visualizer')
    if not isinstance(visualizer, dict) or not visualizer.get('type'):
        return False
    if visualizer.get('name', _VISUALIZER) != _VISUALIZER:
        return False
    visualizer.pop('name', None)
    return True


def recompute_with_gradients(cfg: Config) -> None:
    """Replace MMEngine's activation checkpointing, which loses gradients.

    Args:
        cfg (Config): ``activation_checkpointing`` becomes a custom hook.
    """
    modules = cfg.pop('activation_checkpointing', None)
    if modules:
        hook = {'type': 'dropblock_mm.ActivationCheckpointingHook', 'modules': modules}
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]


def turn_channels_last(cfg: Config) -> bool:
    """Have the model built with the channels innermost.

    Args:
        cfg (Config): If it says ``channels_last=True``, its model is wrapped.

    Returns:
        bool: Whether it was.
    """
    turned = bool(cfg.pop('channels_last', False))
    if turned:
        cfg.model = {'type': 'dropblock_mm.ChannelsLast', 'model': cfg.model}
    return turned
