"""mmcv, which has no wheels for today's torch and takes minutes to build.

pip's own cache would do, but for two things: it starts an interrupted build from
the beginning, and it hands a wheel built for one torch to another.
"""

import json
import os
import re
import shutil
from pathlib import Path

from tools.dev.environment.machine import SetUpError, check_cuda, compile_jobs
from tools.dev.environment.steps import Steps

PROBE_TORCH = """
import json, sys, torch
from torch.utils.cpp_extension import CUDA_HOME
print(json.dumps(dict(torch=torch.__version__, gpu=torch.cuda.is_available(),
                      cuda=torch.version.cuda, cuda_home=CUDA_HOME,
                      python=sys.implementation.cache_tag)))
"""


def mmcv_requirement(file: Path) -> str:
    """The pin of mmcv, e.g. 'mmcv==2.1.0', in a stack's requirements."""
    match = re.search(r'^(onedl-)?mmcv==\S+', file.read_text(), re.MULTILINE)
    if match is None:
        raise SetUpError(f'{file} has no line "mmcv==VERSION"; expected one. Add it.')
    return match.group()


def ensure_mmcv(steps: Steps, requirement: str) -> None:
    """Install mmcv, from a wheel kept from before or by building it."""
    torch = probe_torch(steps)
    if torch['gpu']:
        check_cuda(torch)
    device = f'cuda{torch["cuda"]}' if torch['gpu'] else 'cpu'
    store = wheel_store(steps, f'{torch["python"]}-torch-{torch["torch"]}-{device}')
    wheel_name = requirement.replace('-', '_').replace('==', '-')
    wheels = sorted(store.glob(f'{wheel_name}-*.whl'))
    wheel = wheels[-1] if wheels else build_wheel(steps, requirement, store)
    steps.pip(requirement, 'install', '--no-deps', str(wheel))
    shutil.rmtree(steps.venv / 'mmcv_build', ignore_errors=True)


def probe_torch(steps: Steps) -> dict:
    """What mmcv would be built for."""
    said = steps.ask(PROBE_TORCH)
    if said.returncode:
        raise SetUpError(
            f'torch was installed in {steps.venv} but cannot be imported; expected '
            f'it to work. Remove {steps.venv} and run this again. It said:\n'
            f'{said.stderr}'
        )
    return json.loads(said.stdout.splitlines()[-1])


def wheel_store(steps: Steps, kind: str) -> Path:
    """The folder that keeps mmcv wheels for one Python and one torch."""
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    store = Path(cache) / 'dropblock_mm' / kind
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that cannot be written: keep it for this environment
        store = steps.venv / 'wheels' / kind
        store.mkdir(parents=True, exist_ok=True)
    return store


def build_wheel(steps: Steps, requirement: str, store: Path) -> Path:
    """Build mmcv's wheel in a folder that survives an interruption.

    Args:
        steps (Steps): Where to build.
        requirement (str): The pin.
        store (Path): Folder that receives the wheel. Its name keeps one build's
            objects apart from those of another torch.

    Returns:
        Path: The wheel.
    """
    work = steps.venv / 'mmcv_build' / f'{store.name}-{requirement}'
    work.mkdir(parents=True, exist_ok=True)
    source = unpacked_source(steps, requirement, work)
    print(
        f'set-up: building {requirement}, about 10 minutes on 2 cores; the wheel '
        f'is kept in {store}',
        flush=True,
    )
    flags = ['-v', '--no-deps', '--no-build-isolation', '--wheel-dir', str(work)]
    jobs = os.environ.get('MAX_JOBS') or str(compile_jobs())
    steps.pip(requirement, 'wheel', *flags, str(source), MAX_JOBS=jobs)
    return keep(next(work.glob('*.whl')), store)


def unpacked_source(steps: Steps, requirement: str, work: Path) -> Path:
    """Fetch and unpack mmcv's source, once."""
    source = work / 'source'
    if source.is_dir():
        return source
    flags = ['--no-deps', '--no-build-isolation', '--no-binary', ':all:']
    label = f'{requirement} source'
    steps.pip(label, 'download', *flags, '--dest', str(work), requirement)
    shutil.rmtree(work / 'unpacking', ignore_errors=True)
    shutil.unpack_archive(next(work.glob('*.tar.gz')), work / 'unpacking')
    return next((work / 'unpacking').iterdir()).rename(source)


def keep(wheel: Path, store: Path) -> Path:
    """Copy into the store so that no one ever sees half a wheel there."""
    partial = store / f'{wheel.name}.part'
    shutil.copyfile(wheel, partial)
    return partial.replace(store / wheel.name)
