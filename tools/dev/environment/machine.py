"""What the machine must have, checked before time is spent."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

SUPPORTED = ((3, 10), (3, 11), (3, 12))
# The most that one compiler took, and a little for the rest.
GB_PER_COMPILER = 2.5
NVIDIA, MEMORY = Path('/dev/nvidiactl'), Path('/proc/meminfo')
CUDA = Path('/usr/local/cuda')
# Of CUDA's libraries, included by torch's own headers: nvcc alone does not have them.
CUDA_HEADERS = ('cuda_runtime_api.h', 'cublas_v2.h', 'cusolverDn.h', 'cusparse.h')


class SetUpError(Exception):
    """What stopped the set-up: what was found, what was expected, what to do."""


def check_machine(making_venv: bool, python: str = sys.executable) -> None:
    """Stop before anything is downloaded if this machine cannot finish.

    Args:
        making_venv (bool): Whether this very Python will be the environment's.
        python (str): The environment's, else.
    """
    if making_venv and sys.version_info[:2] not in SUPPORTED:
        raise SetUpError(
            f'{described_python()} is not supported; expected 3.10, 3.11 or 3.12. '
            'Name one: PYTHON=python3.11 make ...'
        )
    check_compiler(making_venv, python)
    check_memory()
    check_gpu_compiler()


def check_memory() -> None:
    """Stop if not even one compiler of mmcv's largest file fits the memory."""
    free = free_memory_gb()
    if free < GB_PER_COMPILER:
        raise SetUpError(
            f'{free:.1f} GB of memory are free; expected at least {GB_PER_COMPILER} '
            'GB, to build mmcv. End other programs, or add swap space.'
        )


def free_memory_gb() -> float:
    """Memory that programs can have, swap space included."""
    found = re.findall(
        r'^(?:MemAvailable|SwapFree):\s*(\d+)', MEMORY.read_text(), re.MULTILINE
    )
    return sum(map(int, found)) * 1024 / 1e9


def check_gpu_compiler() -> None:
    """Stop if there is a GPU and clearly no CUDA compiler, before torch is fetched.

    What :func:`check_cuda` finds out later, from torch itself, is more exact.
    """
    hidden = os.environ.get('CUDA_VISIBLE_DEVICES') in ('', '-1')
    homes = [os.environ.get('CUDA_HOME'), os.environ.get('CUDA_PATH')]
    places = [Path(home) for home in [*homes, CUDA] if home]
    has_nvcc = any((place / 'bin/nvcc').is_file() for place in places)
    if NVIDIA.exists() and not hidden and not has_nvcc and not shutil.which('nvcc'):
        raise SetUpError(
            'this machine has a GPU, but no CUDA compiler (nvcc); expected one, to '
            "build mmcv. Install the CUDA toolkit of torch's CUDA version and set "
            'CUDA_HOME, or set up for the CPU: CUDA_VISIBLE_DEVICES= make ...'
        )


def check_compiler(making_venv: bool = True, python: str = sys.executable) -> None:
    """Stop if a Python cannot compile its extensions on this machine."""
    missing = missing_packages(making_venv, headers_of(python) / 'Python.h')
    if missing:
        raise SetUpError(
            f'to build mmcv, {described_python()} lacks {" and ".join(missing)}. '
            f'Install what is missing: sudo apt install {" ".join(missing.values())}'
        )


def described_python() -> str:
    """The version and the place of the Python that runs this."""
    return f'Python {sys.version.split()[0]} ({sys.executable})'


def headers_of(python: str) -> Path:
    """The folder of a Python's C headers."""
    if python == sys.executable:
        return Path(sysconfig.get_paths()['include'])
    code = "import sysconfig; print(sysconfig.get_paths()['include'])"
    said = subprocess.run([python, '-c', code], capture_output=True, text=True)
    return Path(said.stdout.strip())


def missing_packages(making_venv: bool, header: Path) -> dict[str, str]:
    """What this machine lacks, and the system package that has it."""
    name = 'python{}.{}'.format(*sys.version_info[:2])
    compiler = os.environ.get('CXX', 'c++')
    missing = {}
    if not shutil.which(compiler.split()[0]):
        missing[f'a C++ compiler ({compiler})'] = 'build-essential'
    if making_venv and not importlib.util.find_spec('ensurepip'):
        missing['the module ensurepip'] = f'{name}-venv'
    if not header.is_file():
        folder = header.parent.name  # of the environment's own version
        of = folder if folder.startswith('python3.') else name
        missing[f'the C header {header}'] = f'{of}-dev'
    return missing


def compile_jobs() -> int:
    """How many compilers fit the cores and the memory."""
    by_memory = int(free_memory_gb() / GB_PER_COMPILER)
    return max(1, min(len(os.sched_getaffinity(0)), by_memory))


def check_cuda(torch: dict) -> None:
    """Stop if mmcv's CUDA ops are to be built and could not be.

    Args:
        torch (dict): torch's version ('torch'), whether it sees a GPU ('gpu'), the
            CUDA version it was built with ('cuda') and the toolkit it finds
            ('cuda_home').
    """
    without = 'CUDA_VISIBLE_DEVICES=' if torch['gpu'] else 'env -u FORCE_CUDA'
    remedy = (
        f'Install the CUDA {torch["cuda"]} toolkit and set CUDA_HOME, or set up for '
        f'the CPU: {without} make ...'
    )
    if not torch['cuda']:
        raise SetUpError(
            f'torch {torch["torch"]} is built for the CPU; expected one for CUDA, '
            f'since FORCE_CUDA=1 is set. Install such a torch, or set up for the CPU: '
            f'{without} make ...'
        )
    nvcc = Path(torch['cuda_home'] or '') / 'bin/nvcc'
    if not torch['cuda_home'] or not nvcc.is_file():
        why = 'sees a GPU' if torch['gpu'] else 'is to build for one (FORCE_CUDA=1)'
        raise SetUpError(
            f'torch {torch["torch"]} {why}, but there is no CUDA compiler '
            f'(nvcc); expected one, to build mmcv. {remedy}'
        )
    said = subprocess.run([str(nvcc), '--version'], capture_output=True, text=True)
    release = re.search(r'release (\d+)\.', said.stdout)
    if release and release.group(1) != torch['cuda'].split('.')[0]:
        raise SetUpError(
            f'{nvcc} is of CUDA {release.group(1)}; expected CUDA {torch["cuda"]}, '
            f'as torch {torch["torch"]} was built with. {remedy}'
        )
    missing = missing_cuda_headers(Path(torch['cuda_home']))
    if missing:
        raise SetUpError(
            f'the CUDA toolkit {torch["cuda_home"]} lacks {", ".join(missing)}; '
            f"expected the headers of CUDA's libraries, which torch's own include. "
            f'{remedy}'
        )


def missing_cuda_headers(home: Path) -> list[str]:
    """What nvcc finds neither in the toolkit nor where it is told to look."""
    told = os.environ.get('CPATH', '').split(os.pathsep)
    places = [home / 'include', *(Path(place) for place in told if place)]
    return [
        name for name in CUDA_HEADERS if not any((p / name).is_file() for p in places)
    ]
