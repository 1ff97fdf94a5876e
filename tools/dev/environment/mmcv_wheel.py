"""mmcv, which has no wheels for today's torch and takes a while to build.

pip's own cache would do, but for two things: it starts an interrupted build from
the beginning, and it hands a wheel built for one torch to another.
"""

import json
import os
import re
import shutil
from pathlib import Path

from tools.dev.environment.machine import SetUpError, check_cuda, compile_jobs
from tools.dev.environment.mmcv_setup import WAY
from tools.dev.environment.mmcv_source import prepared_source
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
    builds = steps.venv / 'mmcv_build'
    if not wheels:
        print(f'set-up: building {requirement}; its wheel is kept in {store}')
        work = builds / f'{store.name}-{requirement}-joined'
        wheels = [keep(build_wheel(steps, requirement, work), store)]
    steps.pip(requirement, 'install', '--no-deps', '--no-compile', str(wheels[-1]))
    shutil.rmtree(builds, ignore_errors=True)


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


def build_wheel(
    steps: Steps, requirement: str, work: Path, way: str = 'joined'
) -> Path:
    """Build mmcv's wheel in a folder that survives an interruption.

    Args:
        steps (Steps): Whose Python and torch it is for.
        requirement (str): The pin.
        work (Path): Where to build, apart from the builds for other torches.
        way (str): 'joined', or 'plain' as mmcv would be built by itself.

    Returns:
        Path: The wheel.
    """
    work.mkdir(parents=True, exist_ok=True)
    source = prepared_source(steps, requirement, work)
    flags = ['-v', '--no-deps', '--no-build-isolation', '--wheel-dir', str(work)]
    jobs = os.environ.get('MAX_JOBS') or str(compile_jobs())
    settings = {'MAX_JOBS': jobs, WAY: way}
    steps.pip(requirement, 'wheel', *flags, str(source), **settings)
    return next(work.glob('*.whl'))


def keep(wheel: Path, store: Path) -> Path:
    """Copy into the store so that no one ever sees half a wheel there."""
    partial = store / f'{wheel.name}.part'
    shutil.copyfile(wheel, partial)
    return partial.replace(store / wheel.name)
