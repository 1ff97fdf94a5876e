"""What the training and the test command have in common."""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from dropblock_mm.config_files import resolve_config
from dropblock_mm.engine.amp import enable_amp as enable_amp
from dropblock_mm.engine.amp import fit_amp_to_device, has_accelerator
from dropblock_mm.engine.amp import type_name as type_name
from dropblock_mm.engine.checkpoint import (
    check_checkpoint,
    check_torchvision,
    pretrained_weights,
)
from dropblock_mm.engine.cpu_ranks import join_ranks
from dropblock_mm.engine.fragments import add_fragment
from dropblock_mm.engine.resume import latest_checkpoint

_INSTALLED_BY = {'mmseg': 'mmsegmentation'}
# torch's launchers set LOCAL_RANK by themselves.
_LOCAL_RANKS = {'slurm': 'SLURM_LOCALID', 'mpi': 'OMPI_COMM_WORLD_LOCAL_RANK'}


class _KeyValues(DictAction):
    """MMEngine's reader of KEY=VALUE, which fails on a word without '='."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        for word in values:
            if '=' not in word:
                parser.error(f'{option_string}: {word!r} is not KEY=VALUE')
        super().__call__(parser, namespace, values, option_string)


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of both commands, named as in mmdet and mmseg."""
    parser.add_argument('--work-dir', help='folder of logs, checkpoints and results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=_KeyValues,
        default={},
        metavar='KEY=VALUE',
        help='override settings of the config. Lists: key="[a,b]" or key=a,b; into '
        'lists: key.0.name=a. No white space',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torch.distributed.launch passes --local-rank, older versions --local_rank.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def load_config(
    name: str, options: Mapping[str, Any] | None = None, fragment: str | None = None
) -> Config:
    """Read a config, then the command line's changes to it.

    Options that reach into ``custom_hooks`` come last and so reach a fragment's
    hooks too; all others come first, so that a fragment's defaults give way to them.

    Args:
        name (str): A path or 'package::path'.
        options (dict, optional): From ``--cfg-options``.
        fragment (str, optional): From ``--dropblock``.

    Returns:
        Config: All of it together.
    """
    options = options or {}
    late = {k: v for k, v in options.items() if k.startswith('custom_hooks.')}
    cfg = Config.fromfile(resolve_config(name))
    _merge(cfg, {k: v for k, v in options.items() if k not in late})
    if fragment is not None:
        cfg = add_fragment(cfg, fragment)
    _merge(cfg, late)
    return cfg


def _merge(cfg: Config, options: Mapping[str, Any]) -> None:
    """Merge one by one, so that an error can name the option."""
    for key, value in options.items():
        try:
            cfg.merge_from_dict({key: value})
        except (KeyError, TypeError) as error:
            raise ValueError(
                f'--cfg-options {key}={value!r} does not fit the config: '
                f'{error.args[0]}'
            ) from error


def set_work_dir(cfg: Config, given: str | None, *names: str | None) -> None:
    """Decide on the work dir: command line, then config, then what is run.

    Args:
        cfg (Config): Gets its ``work_dir``.
        given (str, optional): From ``--work-dir``.
        *names: Config and, if any, fragment. A run with DropBlock must not share the
            folder of the one without: each would resume from the other.
    """
    stems = [Path(name.rpartition('::')[2]).stem for name in names if name]
    cfg.work_dir = given or cfg.get('work_dir') or f'./work_dirs/{"-".join(stems)}'


def prepare_library(cfg: Config) -> None:
    """Check that the library of ``default_scope`` is there, and tune it as it does.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    scope = cfg.get('default_scope') or 'mmengine'
    if importlib.util.find_spec(scope) is None:
        raise ModuleNotFoundError(
            f'default_scope={scope!r} of the config needs the package {scope}, which '
            f'is not installed. Install {_INSTALLED_BY.get(scope, scope)}, or correct '
            'default_scope.'
        )
    if scope == 'mmdet':
        # Imported here: a segmentation run needs no mmdet.
        from mmdet.utils import setup_cache_size_limit_of_dynamo

        setup_cache_size_limit_of_dynamo()


def enable_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate by the batch size, as the config lays down.

    Raises:
        ValueError: The config does not say for which batch size its rate is.
    """
    scaling = cfg.get('auto_scale_lr')
    if not scaling or not scaling.get('base_batch_size'):
        raise ValueError(
            '--auto-scale-lr needs auto_scale_lr.base_batch_size, the batch size that '
            f'the learning rate is for; the config has auto_scale_lr={scaling!r}. Add '
            '--cfg-options auto_scale_lr.base_batch_size=16, or leave it out.'
        )
    scaling.enable = True


def set_resume(cfg: Config, given: str | None) -> None:
    """Decide where training begins.

    Args:
        cfg (Config): Gets ``resume`` and ``load_from``; its ``work_dir`` is set.
        given (str, optional): From ``--resume``: a checkpoint, or 'auto' for the
            latest in the work dir. Where there is none yet, training starts as
            without ``--resume``, so that one command fits every attempt.
    """
    if given and given != 'auto':
        cfg.resume, cfg.load_from = True, given
    elif given or (cfg.get('resume') and not cfg.get('load_from')):
        latest = latest_checkpoint(cfg.work_dir)
        cfg.resume = latest is not None
        cfg.load_from = latest or cfg.get('load_from')


def check_checkpoints(cfg: Config, key: str) -> None:
    """Try every local checkpoint that a runner of ``cfg`` will load.

    Args:
        cfg (Config): Complete.
        key (str): Where its ``load_from`` came from, for messages.
    """
    if cfg.get('load_from'):
        check_checkpoint(cfg.load_from, key, resume=bool(cfg.get('resume')))
    for weights_key, weights in pretrained_weights(cfg.to_dict().get('model')):
        check_checkpoint(weights, weights_key)


def check_sources_of_weights(cfg: Config) -> None:
    """Refuse pretrained weights that could not be fetched when training starts.

    Raises:
        ValueError: See :func:`~dropblock_mm.engine.checkpoint.check_torchvision`.
    """
    for key, weights in pretrained_weights(cfg.get('model')):
        check_torchvision(weights, key)


def save_whole_checkpoints(cfg: Config) -> None:
    """Have checkpoints written so that a killed run keeps one.

    Args:
        cfg (Config): Its ``default_hooks.checkpoint`` becomes this package's hook,
            unless it is switched off or of a class of its own.
    """
    hooks = cfg.get('default_hooks') or {}
    # Without one a Runner takes MMEngine's.
    hook = hooks.get('checkpoint', {'type': 'CheckpointHook', 'interval': 1})
    if hook and type_name(hook) == 'CheckpointHook':
        hook = {**hook, 'type': 'dropblock_mm.CheckpointHook'}
        cfg.default_hooks = {**hooks, 'checkpoint': hook}


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


def build_runner(cfg: Config) -> Runner:
    """Build the runner that the config asks for, where there is no GPU too.

    Raises:
        ValueError: Something in the config needs a GPU.
    """
    fit_amp_to_device(cfg)
    recompute_with_gradients(cfg)
    turn_channels_last(cfg)
    if cfg.get('launcher', 'none') != 'none' and not has_accelerator():
        join_ranks(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def parse(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parse, and export the local rank where the launcher did not."""
    args = parser.parse_args(argv)
    variable = _LOCAL_RANKS.get(args.launcher, '')
    local_rank = os.environ.get(variable, str(args.local_rank))
    os.environ.setdefault('LOCAL_RANK', local_rank)
    return args
