"""mmcv, which has no wheels for today's torch and takes a while to build.

pip's own cache would do, but for two things: it starts an interrupted build from
the beginning, and it hands a wheel built for one torch to another.
"""

import os
import shutil
from pathlib import Path

from tools.dev.environment.machine import SetUpError, check_cuda, compile_jobs
from tools.dev.environment.mmcv_setup import WAY
from tools.dev.environment.mmcv_source import prepared_source
from tools.dev.environment.steps import Steps
from tools.dev.environment.torch_there import probe_torch

# pkg_resources is in setuptools before 81, and warns of its end when imported.
PROBE_TOOLS = """
from importlib.util import find_spec
tools = {'pkg_resources': 'setuptools<81'}
names = ['pip', 'pkg_resources', 'wheel', 'ninja', 'psutil']
missing = [tools.get(name, name) for name in names if find_spec(name) is None]
print(', '.join(missing))
raise SystemExit(bool(missing))
"""


def ensure_mmcv(steps: Steps, requirement: str) -> None:
    """Install mmcv, from a wheel kept from before or by building it."""
    kind = build_kind(steps)
    store = wheel_store(steps, kind)
    wheels = sorted(store.glob(f'{wheel_name(requirement)}-*.whl'))
    builds = steps.venv / 'mmcv_build'
    # Named apart, so that one build's objects never meet those for another torch.
    work = builds / f'build-{requirement}-{kind}'
    wheel = wheels[-1] if wheels else build_and_keep(steps, requirement, work, store)
    steps.pip(requirement, 'install', '--no-deps', '--no-compile', str(wheel))
    shutil.rmtree(builds, ignore_errors=True)


def build_and_keep(steps: Steps, requirement: str, work: Path, store: Path) -> Path:
    """Build mmcv's wheel in the folder ``work``, and put it into ``store``."""
    print(f'building {requirement}; its wheel is kept in {store}', flush=True)
    return keep(build_wheel(steps, requirement, work), store)


def wheel_name(requirement: str) -> str:
    """How the name of a wheel of this pin begins."""
    return requirement.replace('-', '_').replace('==', '-')


def build_kind(steps: Steps) -> str:
    """What a wheel is built for: the Python, the torch and the device."""
    torch = probe_torch(steps)
    with_cuda = torch['gpu'] or torch['forced']
    if with_cuda:
        check_cuda(torch)
    device = f'cuda{torch["cuda"]}' if with_cuda else 'cpu'
    return f'{torch["python"]}-torch-{torch["torch"]}-{device}'


def check_build_tools(steps: Steps) -> None:
    """Stop if an environment lacks what mmcv's setup.py imports."""
    said = steps.ask(PROBE_TOOLS)
    if said.returncode:
        raise SetUpError(
            f'{steps.venv} lacks {said.stdout.strip() or said.stderr}; expected what '
            "mmcv's build needs, beside torch. Install it: "
            f"{steps.venv}/bin/python -m pip install 'setuptools<81' wheel ninja psutil"
        )


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
