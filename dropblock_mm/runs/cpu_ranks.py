"""Several processes on machines without a GPU, over gloo.

MMEngine starts distributed training by choosing a GPU, and names one to
DistributedDataParallel. Where there is none, what it would do is done here before.
"""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import torch.distributed as dist
from mmengine.config import Config

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.config_dicts import dicts_in
from dropblock_mm.runs.type_names import type_name

# What torch's launchers set, and where others have it.
_RANKS = {
    'pytorch': {'RANK': 'RANK', 'WORLD_SIZE': 'WORLD_SIZE'},
    'slurm': {'RANK': 'SLURM_PROCID', 'WORLD_SIZE': 'SLURM_NTASKS'},
    'mpi': {'RANK': 'OMPI_COMM_WORLD_RANK', 'WORLD_SIZE': 'OMPI_COMM_WORLD_SIZE'},
}
# Above those of services, below those that systems give to outgoing connections.
_PORTS = range(15000, 32000)
SYNC_NORMS = ('SyncBN', 'MMSyncBN', 'SyncBatchNorm')


def join_ranks(cfg: Config) -> None:
    """Connect this process with the others, as a Runner does where there are GPUs.

    Args:
        cfg (Config): Its ``launcher`` is not 'none'. Gets a ``model_wrapper_cfg`` for
            the CPU.

    Raises:
        ValueError: The config needs GPUs, or the launcher did not set what is needed.
    """
    settings = dict((cfg.get('env_cfg') or {}).get('dist_cfg') or {})
    _check_backend(cfg.launcher, settings.pop('backend', 'nccl'))
    _check_norms(cfg)
    cfg.model_wrapper_cfg = _wrapper(cfg)
    if dist.is_initialized():
        return
    _set_environment(cfg.launcher)
    if 'timeout' in settings:
        settings['timeout'] = timedelta(seconds=settings['timeout'])
    dist.init_process_group('gloo', **settings)


def count_ranks(launcher: str) -> int:
    """Return how many processes a launcher started; 1 where it says nothing of it."""
    return int(os.environ.get(_RANKS.get(launcher, {}).get('WORLD_SIZE', ''), 1))


def _check_backend(launcher: str, backend: str) -> None:
    if backend != 'gloo':
        raise RefusedValueError(
            f'--launcher {launcher} with env_cfg.dist_cfg.backend={backend!r} needs '
            'GPUs, and torch sees none. To train in several processes on the CPU add '
            '--cfg-options env_cfg.dist_cfg.backend=gloo'
        )


def _check_norms(cfg: Config) -> None:
    """Torch refuses SyncBatchNorm on the CPU, but not before the first iteration."""
    keys = [
        f'{prefix}type={part["type"]!r}'
        for prefix, part in dicts_in(cfg.get('model'), 'model.')
        if type_name(part) in SYNC_NORMS
    ]
    keys += [f'sync_bn={cfg.sync_bn!r}'] if cfg.get('sync_bn') else []
    if keys:
        raise RefusedValueError(
            f'{keys[0]}: torch synchronizes batch normalization on GPUs only, and sees '
            f"none. Use 'BN'{' in all of them' if len(keys) > 1 else ''}, or leave "
            'sync_bn out.'
        )


def _wrapper(cfg: Config) -> dict[str, Any]:
    """MMEngine's wrapper, but for the GPU that it would name."""
    own = cfg.get('model_wrapper_cfg') or {
        'type': 'MMDistributedDataParallel',
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
    }
    return {'device_ids': None, **own}


def _set_environment(launcher: str) -> None:
    """Set the variables by which torch's processes find each other."""
    for name, variable in _RANKS[launcher].items():
        if variable not in os.environ:
            raise RefusedValueError(
                f'--launcher {launcher} expects the variable {variable}, which is not '
                f'set. Start the tool by {launcher}, as tools/dist_train.sh (pytorch) '
                'and tools/slurm_train.sh do, or leave --launcher out.'
            )
        os.environ[name] = os.environ[variable]
    machines = os.environ.get('SLURM_NNODES', '1')
    if 'MASTER_ADDR' not in os.environ and machines != '1':
        raise RefusedValueError(
            f'--launcher {launcher}: there are SLURM_NNODES={machines} machines and '
            'MASTER_ADDR is not set. Set it to the name of the first one.'
        )
    os.environ.setdefault('MASTER_ADDR', '127.0.0.1')
    os.environ.setdefault('MASTER_PORT', '29500')


def choose_port_of_job() -> None:
    """Let two Slurm jobs train on one machine: MMEngine gives both one port.

    The port follows from the numbers of job and step, which all processes know. A port
    that was chosen already stays.
    """
    job, step = (os.environ.get(f'SLURM_{name}_ID', '') for name in ('JOB', 'STEP'))
    if job.isdecimal():
        number = 61 * int(job) + (int(step) if step.isdecimal() else 0)
        os.environ.setdefault('MASTER_PORT', str(_PORTS.start + number % len(_PORTS)))
