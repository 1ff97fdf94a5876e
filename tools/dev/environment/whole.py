"""The whole environment: whether it is ready, and the steps that make it so."""

import contextlib
import fcntl
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.dev.environment.disk import check_disk
from tools.dev.environment.machine import SetUpError, check_machine
from tools.dev.environment.mmcv_wheel import ensure_mmcv
from tools.dev.environment.package_index import check_index, check_proxy, pinned
from tools.dev.environment.steps import Steps
from tools.dev.environment.torch_there import has_torch

ROOT = Path(__file__).resolve().parents[3]
REQUIREMENTS = ROOT / 'requirements'
STACKS = {'openmmlab': '.venv', 'onedl': '.venv-onedl'}
MMCV = {'openmmlab': 'mmcv', 'onedl': 'onedl-mmcv'}

# Before mmcv is built, which takes minutes; MMEngine and the libraries come after it.
PROBE_TORCHVISION = """
from dropblock_mm.errors import of_another_build
try:
    import torchvision
except Exception as error:
    raise SystemExit(of_another_build(error) or (
        f'torchvision cannot be imported ({error}). Install it again: '
        'pip install --force-reinstall --no-deps torchvision'))
"""

PROBE_ALL = """
import mmdet, mmpretrain, mmseg, dropblock_mm
from mmcv.ops import get_compiling_cuda_version as compiled, nms
import torch
if torch.cuda.is_available() and compiled() == 'not available':
    raise SystemExit('torch sees a GPU, but mmcv was built without CUDA')
"""


def ensure_environment(stack: str, keep_python: bool) -> None:
    """Bring the environment of ``stack`` up to date.

    Args:
        stack (str): 'openmmlab' or 'onedl'.
        keep_python (bool): Whether an environment made with another Python of
            the supported ones is good enough.
    """
    if stack not in STACKS:
        raise SetUpError(
            f'STACK={stack!r} is unknown; expected one of {sorted(STACKS)}. '
            'For the default leave STACK out.'
        )
    venv = ROOT / STACKS[stack]
    if is_ready(venv, stack, keep_python):
        return
    try:
        venv.mkdir(exist_ok=True)
    except OSError as error:
        raise SetUpError(
            f'{venv} cannot be made ({error.strerror}); expected a folder or nothing '
            'there, in a clone that you may write. Move it away, or clone elsewhere.'
        ) from error
    with exclusive(venv) as lock:
        if not is_ready(venv, stack, keep_python):  # while waiting for the lock
            set_up(venv, stack, keep_python, lock)


def is_ready(venv: Path, stack: str, keep_python: bool) -> bool:
    """Whether the stamp says that all of this was done already."""
    version = usable_version(venv, keep_python)
    stamp = venv / 'set_up.stamp'
    if version is None or not stamp.is_file():
        return False
    return stamp.read_text() == stamp_of(stack, version)


def usable_version(venv: Path, keep_python: bool) -> str | None:
    """The version of the environment's Python, or None if it must be remade."""
    probe = [str(venv / 'bin/python'), '-c', 'import sys, pip; print(sys.version)']
    try:
        answer = subprocess.run(probe, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None  # never made, half made, or its Python is gone
    version = answer.stdout.strip()
    return version if keep_python or version == sys.version.strip() else None


def stamp_of(stack: str, python_version: str) -> str:
    """A digest of everything the environment is made from."""
    files = sorted(REQUIREMENTS.glob('*.txt')) + sorted(Path(__file__).parent.iterdir())
    parts = [file.read_bytes() for file in files if file.is_file()]
    # The place counts: an editable install points at it.
    loops = sorted((ROOT / 'dropblock_mm/ops/cpu').glob('*.[ch]'))
    built = [ROOT / 'setup.cfg', ROOT / 'setup.py', *loops]
    parts += [*(file.read_bytes() for file in built), bytes(ROOT)]
    parts += [stack.encode(), python_version.encode()]
    return hashlib.sha256(b'\0'.join(parts)).hexdigest()


@contextlib.contextmanager
def exclusive(venv: Path) -> Iterator[int]:
    """Hold the environment's lock; a second set-up waits for the first."""
    descriptor = os.open(venv, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f'set-up: waiting for another set-up of {venv.name}', flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def set_up(venv: Path, stack: str, keep_python: bool, lock: int) -> None:
    """Do the steps in order; each of them is quick when it was done before."""
    version = usable_version(venv, keep_python)
    own = sys.executable if version is None else str(venv / 'bin/python')
    check_machine(making_venv=version is None, python=own)
    check_disk(venv, 'CPU')  # the least; more is known when torch was looked up
    check_proxy()
    print(
        f'set-up of {venv.name} (stack {stack}); it may be interrupted and run '
        f'again. Log: {venv.name}/set_up.log',
        flush=True,
    )
    if version is None:
        make_venv(venv)
        version = sys.version.strip()
    with open(venv / 'set_up.log', 'w') as log:
        install(Steps(venv, log, lock), stack)
    (venv / 'set_up.stamp').write_text(stamp_of(stack, version))
    print(f'set-up of {venv.name} is complete', flush=True)


def make_venv(venv: Path) -> None:
    """Make the environment anew, over whatever is left of an older one."""
    version = sys.version.split()[0]
    print(f'set-up: making {venv.name} with Python {version}', flush=True)
    command = [sys.executable, '-m', 'venv', '--clear', str(venv)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SetUpError(
            f'python -m venv failed; expected an environment in {venv}. '
            f'It said:\n{done.stdout}{done.stderr}'
        )


def install(steps: Steps, stack: str) -> None:
    """Install torch, then mmcv built against it, then everything else."""
    names = ['build.txt', 'common.txt', f'{stack}.txt']
    build, common, own = (str(REQUIREMENTS / name) for name in names)
    pip, torch = (pinned(Path(build), name) for name in ('pip', 'torch'))
    if not has_torch(steps, torch):
        check_index(steps, pip, torch)
    # Without bytecode: Python makes that of the few modules that are ever imported.
    install = ['install', '--no-compile']
    steps.pip('torch and build tools', *install, '-r', build, '-c', common)
    steps.run('checking torchvision', '-c', PROBE_TORCHVISION)
    ensure_mmcv(steps, pinned(Path(own), MMCV[stack]))
    everything = [word for file in (build, common, own) for word in ('-r', file)]
    steps.pip('libraries', *install, '--no-build-isolation', *everything)
    # No dependencies: the pins above are the whole environment.
    editable = ['--no-deps', '--no-build-isolation', '--editable', str(ROOT)]
    steps.pip('dropblock_mm itself', 'install', *editable)
    ensure_cv2(steps)
    steps.run('checking imports', '-c', PROBE_ALL)


def ensure_cv2(steps: Steps) -> None:
    """Swap OpenCV for its headless build where the desktop's libraries are absent.

    MMEngine depends on the name opencv-python, which needs libGL; a server or a
    container rarely has that. Both builds own the same files.
    """
    if 'cannot open shared object' not in steps.ask('import cv2').stderr:
        return
    common = REQUIREMENTS / 'common.txt'
    print('set-up: no libGL here: opencv-python-headless instead', flush=True)
    headless = pinned(common, 'opencv-python').replace('==', '-headless==')
    steps.pip('headless OpenCV', 'install', '--force-reinstall', '--no-deps', headless)
