"""Make the environment of one stack, and do nothing when it is already there.

Usage: ``python3 tools/misc/set_up.py [--stack openmmlab|onedl] [--keep-python]``,
which the Makefile runs before every other target. It needs the standard library
only. It may be interrupted at any point: pip skips what is installed, and ninja
what is compiled. A stamp in the environment says what it was made from.
"""

import argparse
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

SUPPORTED = ((3, 10), (3, 11), (3, 12))
if sys.version_info < SUPPORTED[0]:
    # Here, because older versions stop at the annotations below.
    sys.exit(
        f'set-up: Python {sys.version.split()[0]} ({sys.executable}) is too old; '
        'expected 3.10, 3.11 or 3.12. Name one: PYTHON=python3.11 make ...'
    )

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / 'requirements'
STACKS = {'openmmlab': '.venv', 'onedl': '.venv-onedl'}
FREE_GB = 4
GB_PER_COMPILER = 2
TTY_SECONDS, PLAIN_SECONDS = 1, 30

PROBE_TORCH = """
import json, torch
from torch.utils.cpp_extension import CUDA_HOME
print(json.dumps(dict(torch=torch.__version__, gpu=torch.cuda.is_available(),
                      cuda=torch.version.cuda, cuda_home=CUDA_HOME)))
"""
PROBE_ALL = """
import mmdet, mmseg, dropblock_mm
from mmcv.ops import get_compiling_cuda_version as compiled, nms
import torch
if torch.cuda.is_available() and compiled() == 'not available':
    raise SystemExit('torch sees a GPU, but mmcv was built without CUDA')
"""


class SetUpError(Exception):
    """What stopped the set-up: what was found, what was expected, what to do."""


def main() -> int:
    """Set up the environment the command line asks for; 0 when it is ready."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = parse_args()
    try:
        ensure_environment(args.stack, args.keep_python)
    except SetUpError as error:
        print(f'set-up: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nset-up: interrupted; run it again to continue.', file=sys.stderr)
        return 130
    return 0


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--stack', default='openmmlab', help='openmmlab or onedl')
    parser.add_argument(
        '--keep-python',
        action='store_true',
        help='an environment that works keeps its Python, whichever runs this',
    )
    return parser.parse_args()


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
    venv.mkdir(exist_ok=True)
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
    version = answer.stdout
    if keep_python or version.strip() == sys.version.strip():
        return version
    return None


def stamp_of(stack: str, python_version: str) -> str:
    """A digest of everything the environment is made from."""
    files = [*sorted(REQUIREMENTS.glob('*.txt')), ROOT / 'setup.cfg', Path(__file__)]
    parts = [file.read_bytes() for file in files]
    # The place counts: an editable install points at it.
    parts += [stack.encode(), python_version.encode(), bytes(ROOT)]
    return hashlib.sha256(b'\0'.join(parts)).hexdigest()


@contextlib.contextmanager
def exclusive(venv: Path):
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
    python_gone = usable_version(venv, keep_python) is None
    check_machine(making_venv=python_gone)
    print(
        f'set-up of {venv.name} (stack {stack}); it may be interrupted and run '
        f'again. Log: {venv.name}/set_up.log',
        flush=True,
    )
    if python_gone:
        make_venv(venv)
    with open(venv / 'set_up.log', 'w') as log:
        steps = Steps(venv, log, lock)
        install_stack(steps, stack)
        finish(steps)
    version = usable_version(venv, keep_python)
    (venv / 'set_up.stamp').write_text(stamp_of(stack, version))
    print(f'set-up of {venv.name} is complete', flush=True)


def check_machine(making_venv: bool) -> None:
    """Stop before anything is downloaded if this machine cannot finish.

    Args:
        making_venv (bool): Whether this very Python will be the environment's.
    """
    here = f'Python {sys.version.split()[0]} ({sys.executable})'
    if making_venv and sys.version_info[:2] not in SUPPORTED:
        raise SetUpError(
            f'{here} is not supported; expected 3.10, 3.11 or 3.12. '
            'Name one: PYTHON=python3.11 make ...'
        )
    missing = missing_packages(making_venv)
    if missing:
        raise SetUpError(
            f'to build mmcv, {here} lacks {" and ".join(missing)}. Install what is '
            f'missing: sudo apt install {" ".join(missing.values())}'
        )
    free = shutil.disk_usage(ROOT).free / 1e9
    if free < FREE_GB:
        raise SetUpError(
            f'{free:.1f} GB are free at {ROOT}; expected at least {FREE_GB} GB '
            '(10 GB with the CUDA build of torch). Free some, or clone elsewhere.'
        )


def missing_packages(making_venv: bool) -> dict:
    """What this machine lacks, and the system package that has it."""
    name = 'python{}.{}'.format(*sys.version_info[:2])
    header = Path(sysconfig.get_paths()['include']) / 'Python.h'
    compiler = os.environ.get('CXX', 'c++')
    missing = {}
    if not shutil.which(compiler.split()[0]):
        missing[f'a C++ compiler ({compiler})'] = 'build-essential'
    if making_venv and not importlib.util.find_spec('ensurepip'):
        missing['the module ensurepip'] = f'{name}-venv'
    if making_venv and not header.is_file():
        missing[f'the C header {header}'] = f'{name}-dev'
    return missing


def make_venv(venv: Path) -> None:
    """Make the environment anew, over whatever is left of an older one."""
    print(f'set-up: making {venv.name} with Python {sys.version.split()[0]}')
    command = [sys.executable, '-m', 'venv', '--clear', str(venv)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SetUpError(
            f'python -m venv failed; expected an environment in {venv}. '
            f'It said:\n{done.stdout}{done.stderr}'
        )


class Steps:
    """Runs the environment's Python, step by step, with output to one log.

    Args:
        venv (Path): The environment.
        log (TextIO): Where the full output goes.
        lock (int): Descriptor of the lock. Children inherit it, so that the lock
            outlives this process while one of them still writes.
    """

    def __init__(self, venv: Path, log, lock: int) -> None:
        self.venv, self.log, self.lock = venv, log, lock

    def pip(self, label: str, *args: str, **extra_env: str) -> None:
        """Run pip, as ``run`` does."""
        self.run(label, '-m', 'pip', *args, **extra_env)

    def run(self, label: str, *args: str, **extra_env: str) -> None:
        """Run the environment's Python, showing progress; stop if it fails."""
        command = [str(self.venv / 'bin/python'), *args]
        self.log.write(f'\n### {label}: {" ".join(args)}\n')
        self.log.flush()
        # As if the environment were activated: torch looks for ninja on the PATH.
        path = f'{self.venv / "bin"}{os.pathsep}{os.environ.get("PATH", os.defpath)}'
        extra_env = {'PATH': path, **extra_env}
        code, tail = follow(label, command, self.log, self.lock, extra_env)
        if code:
            raise SetUpError(
                f'{label} failed with exit status {code}. The last lines of '
                f'{self.log.name}:\n    ' + '\n    '.join(tail)
            )

    def ask(self, code: str) -> subprocess.CompletedProcess:
        """Run a few lines of Python in the environment and keep what they print."""
        command = [str(self.venv / 'bin/python'), '-c', code]
        return subprocess.run(command, capture_output=True, text=True)


def install_stack(steps: Steps, stack: str) -> None:
    """Install torch, then mmcv built against it, then everything else."""
    names = ['build.txt', 'common.txt', f'{stack}.txt']
    build, common, own = (str(REQUIREMENTS / name) for name in names)
    steps.pip('torch and build tools', 'install', '-r', build, '-c', common)
    ensure_mmcv(steps, mmcv_requirement(Path(own)))
    everything = [word for file in (build, common, own) for word in ('-r', file)]
    steps.pip('libraries', 'install', '--no-build-isolation', *everything)
    # No dependencies: the pins above are the whole environment.
    editable = ['--no-deps', '--no-build-isolation', '--editable', str(ROOT)]
    steps.pip('dropblock_mm itself', 'install', *editable)


def finish(steps: Steps) -> None:
    """See that the environment works before it is stamped as complete."""
    ensure_cv2(steps)
    steps.run('checking imports', '-c', PROBE_ALL)


def ensure_cv2(steps: Steps) -> None:
    """Swap OpenCV for its headless build where the desktop's libraries are absent.

    MMEngine depends on the name opencv-python, which needs libGL; a server or a
    container rarely has that. Both builds own the same files.
    """
    if 'cannot open shared object' not in steps.ask('import cv2').stderr:
        return
    pins = (REQUIREMENTS / 'common.txt').read_text()
    version = re.search(r'^opencv-python==(\S+)', pins, re.MULTILINE).group(1)
    print('set-up: no libGL here, so OpenCV becomes opencv-python-headless')
    headless = f'opencv-python-headless=={version}'
    steps.pip('headless OpenCV', 'install', '--force-reinstall', '--no-deps', headless)


def mmcv_requirement(file: Path) -> str:
    """The pin of mmcv, e.g. 'mmcv==2.1.0', in a stack's requirements."""
    match = re.search(r'^(onedl-)?mmcv==\S+', file.read_text(), re.MULTILINE)
    if match is None:
        raise SetUpError(f'{file} has no line "mmcv==VERSION"; expected one. Add it.')
    return match.group()


def ensure_mmcv(steps: Steps, requirement: str) -> None:
    """Install mmcv, from a wheel kept from before or by building it.

    pip's own cache would do, but for two things: it starts an interrupted build
    from the beginning, and it hands a wheel built for one torch to another.
    """
    torch = json.loads(steps.ask(PROBE_TORCH).stdout)
    if torch['gpu']:
        check_cuda(torch)
    kind = f'torch-{torch["torch"]}-' + ('cuda' if torch['gpu'] else 'cpu')
    wheel_name = requirement.replace('-', '_').replace('==', '-')
    kept = wheel_store(steps, kind)
    wheels = sorted(kept.glob(f'{wheel_name}-*.whl'))
    if not wheels:
        wheels = [build_mmcv(steps, requirement, kept)]
    steps.pip(requirement, 'install', '--no-deps', str(wheels[-1]))
    shutil.rmtree(steps.venv / 'mmcv_build', ignore_errors=True)


def wheel_store(steps: Steps, kind: str) -> Path:
    """The folder that keeps mmcv wheels for this Python and this torch."""
    tag = steps.ask('import sys; print(sys.implementation.cache_tag)').stdout.strip()
    cache = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    store = Path(cache) / 'dropblock_mm' / f'{tag}-{kind}'
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that cannot be written: keep it for this environment
        store = steps.venv / 'wheels' / kind
        store.mkdir(parents=True, exist_ok=True)
    return store


def build_mmcv(steps: Steps, requirement: str, store: Path) -> Path:
    """Build mmcv's wheel in a folder that survives an interruption.

    Args:
        steps (Steps): Where to build.
        requirement (str): The pin.
        store (Path): Folder that receives the wheel; its name tells one build's
            objects from those of another torch.
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
    steps.pip(f'{requirement}', 'wheel', *flags, str(source), MAX_JOBS=jobs)
    return keep(next(work.glob('*.whl')), store)


def keep(wheel: Path, store: Path) -> Path:
    """Copy into the store so that no one ever sees half a wheel there."""
    partial = store / f'{wheel.name}.part'
    shutil.copyfile(wheel, partial)
    return partial.replace(store / wheel.name)


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
    next((work / 'unpacking').iterdir()).rename(source)
    return source


def compile_jobs() -> int:
    """How many compilers fit the cores and the memory."""
    pages, page_size = os.sysconf('SC_AVPHYS_PAGES'), os.sysconf('SC_PAGE_SIZE')
    by_memory = int(pages * page_size / 1e9 / GB_PER_COMPILER)
    return max(1, min(len(os.sched_getaffinity(0)), by_memory))


def check_cuda(torch: dict) -> None:
    """Stop if torch sees a GPU and mmcv's CUDA ops could not be built.

    Args:
        torch (dict): What ``PROBE_TORCH`` printed.
    """
    remedy = (
        f'Install the CUDA {torch["cuda"]} toolkit and set CUDA_HOME, or set up for '
        'the CPU: CUDA_VISIBLE_DEVICES= make ...'
    )
    nvcc = Path(torch['cuda_home'] or '') / 'bin/nvcc'
    if not torch['cuda_home'] or not nvcc.is_file():
        raise SetUpError(
            f'torch {torch["torch"]} sees a GPU, but there is no CUDA compiler '
            f'(nvcc); expected one, to build mmcv. {remedy}'
        )
    said = subprocess.run([str(nvcc), '--version'], capture_output=True, text=True)
    release = re.search(r'release (\d+)\.', said.stdout)
    if release and release.group(1) != torch['cuda'].split('.')[0]:
        raise SetUpError(
            f'{nvcc} is of CUDA {release.group(1)}; expected CUDA {torch["cuda"]}, '
            f'as torch {torch["torch"]} was built with. {remedy}'
        )


def follow(label: str, command: list[str], log, lock: int, extra_env: dict):
    """Run a command into the log, and say about once in a while how far it is.

    Args:
        label (str): What is being done.
        command (list[str]): The command.
        log (TextIO): Receives every line.
        lock (int): Descriptor to keep open in the child.
        extra_env (dict): Variables on top of this process's.

    Returns:
        tuple[int, list[str]]: Exit status, and the last lines of output.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors='replace',
        env={**os.environ, 'PYTHONUNBUFFERED': '1', **extra_env},
        pass_fds=(lock,),
        start_new_session=True,  # so that its whole family can be stopped
    )
    progress = Progress(label)
    reader = threading.Thread(target=drain, args=(process, log, progress))
    reader.start()
    try:
        progress.show_until(lambda: process.poll() is not None)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        reader.join()
        progress.close(process.returncode)
    return process.returncode, progress.tail


def drain(process: subprocess.Popen, log, progress: 'Progress') -> None:
    """Copy a process's output to the log as it comes."""
    for line in process.stdout:
        log.write(line)
        log.flush()
        progress.feed(line.rstrip())


class Progress:
    """One line about a running command: renewed on a terminal, rare in a log.

    Args:
        label (str): What is being done.
    """

    NINJA = re.compile(r'^\s*\[(\d+)/(\d+)\].*?([\w.-]+)\.o\b')
    PIP = re.compile(r'^\s*(Collecting|Downloading|Building|Installing|Processing)\b.*')

    def __init__(self, label: str) -> None:
        self.label, self.tail, self.phrase = label, [], ''
        self.started = time.monotonic()
        self.on_terminal = sys.stdout.isatty()

    def feed(self, line: str) -> None:
        """Take one line of output into account."""
        self.tail = [*self.tail[-24:], line]
        ninja, pip = self.NINJA.match(line), self.PIP.match(line)
        if ninja:
            done, total, name = int(ninja[1]), int(ninja[2]), ninja[3]
            left = (time.monotonic() - self.started) / done * (total - done)
            self.phrase = f'{done}/{total} files, about {clock(left)} left, {name}'
        elif pip:
            self.phrase = line.strip()

    def show_until(self, finished) -> None:
        """Report now and then until ``finished()``."""
        pause = TTY_SECONDS if self.on_terminal else PLAIN_SECONDS
        due = self.started + pause
        while not finished():
            time.sleep(0.1)
            if time.monotonic() >= due:
                self.show(self.phrase)
                due += pause

    def close(self, status: int) -> None:
        """Leave a last line behind."""
        self.show('done' if status == 0 else f'stopped with status {status}')
        if self.on_terminal:
            print(flush=True)

    def show(self, phrase: str) -> None:
        """Print the line, over the last one where that is possible."""
        elapsed = clock(time.monotonic() - self.started)
        line = f'  {self.label} [{elapsed}] {phrase}'
        if self.on_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f'\r\033[K{line[:width]}', end='', flush=True)
        else:
            print(line[:160], flush=True)


def clock(seconds: float) -> str:
    """Seconds as m:ss."""
    return '{}:{:02d}'.format(*divmod(round(seconds), 60))


if __name__ == '__main__':
    sys.exit(main())
