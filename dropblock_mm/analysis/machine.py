"""What a measurement depends on besides the code."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import torch

from dropblock_mm.ops.cpu import native
from dropblock_mm.ops.gpu import fused
from dropblock_mm.programs import ROOT, in_clone

LIBRARIES = (
    'mmengine',
    'mmcv',
    'mmdet',
    'onedl-mmengine',
    'onedl-mmcv',
    'onedl-mmdetection',
    'torchvision',
    'timm',
    'dropblock',
    'triton',
    'numpy',
)
VARIABLES = ('OMP_', 'KMP_', 'GOMP_', 'MKL_', 'MALLOC_', 'LD_PRELOAD', 'PYTORCH_')


def describe(device: str, allocator: str) -> dict[str, str]:
    """Return the environment: machine, software and settings, by name."""
    found = {
        'device': _cuda_name() if device == 'cuda' else 'cpu',
        'cpu': cpu_model(),
        'cpu cores': str(available_cores()),
        'cpu capability': torch.backends.cpu.get_cpu_capability(),
        'threads': str(torch.get_num_threads()),
        'load average at the start': _load(),
        'os': f'{platform.system()} {platform.release()}',
        'libc': ' '.join(platform.libc_ver()),
        'python': platform.python_version(),
        'torch': torch.__version__,
        'dropblock_mm': _commit(),
        'path on the GPU': _cuda_path() if device == 'cuda' else '',
        'loops over seeds': 'in C' if native.IS_BUILT else 'as tensor operations',
        'allocator': allocator,
        'transparent huge pages': _read('/sys/kernel/mm/transparent_hugepage/enabled'),
    }
    found |= versions(*LIBRARIES)
    found |= {k: v for k, v in sorted(os.environ.items()) if k.startswith(VARIABLES)}
    return {name: value for name, value in found.items() if value}


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """Return the processor's name, which Python's platform leaves empty on Linux."""
    for line in _read('/proc/cpuinfo').splitlines():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ''


def _load() -> str:
    return f'{os.getloadavg()[0]:.2f}' if hasattr(os, 'getloadavg') else ''


def _cuda_name() -> str:
    if not torch.cuda.is_available():
        return 'no CUDA device'
    index = torch.cuda.current_device()
    return f'{torch.cuda.get_device_name(index)}, CUDA {torch.version.cuda}'


def _cuda_path() -> str:
    """Say whether the kernels run, or else why not."""
    reason = fused.why_not(torch.device('cuda'))
    return f'dense: {reason}' if reason else "Triton's kernels"


def _commit() -> str:
    """Return the commit, and whether the package differs from it."""
    if not in_clone():  # a wheel can lie in somebody else's
        return 'not a git clone'
    try:
        commit = _git('rev-parse', '--short=12', 'HEAD')
        changed = _git('status', '--porcelain', '--', 'dropblock_mm')
    except (OSError, subprocess.CalledProcessError):
        return 'not a git clone'
    return f'{commit}, with uncommitted changes' if changed else commit


def _git(*args: str) -> str:
    done = subprocess.run(
        ['git', '-C', str(ROOT), *args], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def versions(*names: str) -> dict[str, str]:
    """Return the versions of the distributions that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
