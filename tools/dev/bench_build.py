"""Compare the processor time of mmcv's plain build with the one that set-up does.

Usage: ``make bench-build``. Both builds have the same source, Python, torch and
number of compilers; the plain one takes 20 to 30 minutes of processor time. It may be
interrupted: what the next start needs is compiled already, and its time is counted.
``--minutes 10`` cuts it into parts in which no compilation is broken off, so that
none is counted twice: run it again until it prints the comparison.
"""

import argparse
import ctypes
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.dev.environment.machine import SetUpError
from tools.dev.environment.mmcv_source import prepared_source
from tools.dev.environment.mmcv_wheel import build_kind, build_wheel
from tools.dev.environment.package_index import pinned
from tools.dev.environment.steps import Steps
from tools.dev.environment.whole import MMCV, REQUIREMENTS

FOLDER = Path('work_dirs/bench_build')
WAYS = ('joined', 'plain')
SUBREAPER = 36
RECORD = 'seconds.json'
STOPPED = 75  # as sysexits.h calls "try again"
UNTIL = 'DROPBLOCK_MM_BENCH_UNTIL'
# Stands before the compiler: what began is finished, and nothing begins too late.
COMPILER = """#!/bin/sh
if [ "${%(until)s:-0}" -gt 0 ] && [ "$(date +%%s)" -ge "$%(until)s" ]; then
  echo 'bench_build: the time is up' >&2
  exit %(stopped)d
fi
exec %(compiler)s "$@"
"""


def main() -> int:
    """Build both ways as far as that is not done, and print the comparison."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = parse_args()
    requirement = pinned(REQUIREMENTS / f'{args.stack}.txt', MMCV[args.stack])
    args.folder.mkdir(parents=True, exist_ok=True)
    limit_compiler(args.folder.resolve() / 'compiler', args.minutes)
    adopt_orphans()
    folder = None
    try:
        with open(args.folder / 'bench_build.log', 'a') as log:
            steps = Steps(Path(sys.prefix), log, log.fileno())
            kind = build_kind(steps)
            folder = args.folder.resolve() / f'{requirement}-{kind}'
            seconds = {way: measured(steps, requirement, folder, way) for way in WAYS}
    except (SetUpError, KeyboardInterrupt) as error:
        if is_up():
            print('bench_build: the time is up; run it again to continue')
            if folder and any((folder / 'joined').glob('*.whl')):
                print(bound({way: taken(folder / way) for way in WAYS}))
            return STOPPED
        print(f'bench_build: {error or "interrupted; run it again"}', file=sys.stderr)
        return 1
    print(f'{requirement} for {kind}')
    print(comparison(seconds))
    return 0


def measured(steps: Steps, requirement: str, folder: Path, way: str) -> float:
    """The processor time of one build, user and system, in seconds.

    Args:
        steps (Steps): Whose Python and torch it is for.
        requirement (str): The pin.
        folder (Path): Keeps each build and the time that it took.
        way (str): 'plain' or 'joined'.
    """
    work = folder / way
    work.mkdir(parents=True, exist_ok=True)
    if not any(work.glob('*.whl')):
        prepared_source(steps, requirement, work)
        with counted(work / RECORD):
            build_wheel(steps, requirement, work, way)
    return taken(work)


def taken(work: Path) -> float:
    """What the attempts to build in that folder took so far, in seconds."""
    record = work / RECORD
    return sum(json.loads(record.read_text())) if record.is_file() else 0.0


def limit_compiler(script: Path, minutes: float | None) -> None:
    """Have torch compile by a script that refuses to begin after some minutes.

    Args:
        script (Path): Where it goes. It stands there without a limit too, for a
            compiler by another name would have ninja compile everything again.
        minutes (float | None): From now; None is no limit.
    """
    compiler = os.environ.get('CXX', 'c++')
    words = {'until': UNTIL, 'stopped': STOPPED, 'compiler': compiler}
    script.write_text(COMPILER % words)
    script.chmod(0o755)
    os.environ['CXX'] = str(script)
    if minutes is not None:
        os.environ[UNTIL] = str(int(time.time() + 60 * minutes))


def is_up() -> bool:
    """Whether the compiler begins nothing more."""
    return 0 < int(os.environ.get(UNTIL, 0)) <= time.time()


@contextmanager
def counted(record: Path) -> Iterator[None]:
    """Add to ``record`` what the processes that end inside took, come what may."""
    before = processor_seconds()
    try:
        yield
    finally:
        wait_for_orphans()
        attempts = json.loads(record.read_text()) if record.is_file() else []
        record.write_text(json.dumps([*attempts, processor_seconds() - before]))


def processor_seconds() -> float:
    """Of all descendants that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def adopt_orphans() -> None:
    """Become the parent of compilers whose callers were stopped: Linux counts then."""
    ctypes.CDLL(None).prctl(SUBREAPER, 1, 0, 0, 0)


def wait_for_orphans() -> None:
    """Wait for every process that is left."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def comparison(seconds: dict[str, float]) -> str:
    """The table."""
    plain, joined = seconds['plain'], seconds['joined']
    return (
        'processor time, user and system\n'
        f'  mmcv by itself  {plain:7.0f} s\n'
        f'  as set-up does  {joined:7.0f} s, {joined / plain:.2f} of it'
    )


def bound(seconds: dict[str, float]) -> str:
    """What is known before the plain build, which comes last, is finished."""
    plain, joined = seconds['plain'], seconds['joined']
    share = f', so at most {joined / plain:.2f} of it' if plain else ''
    return (
        'processor time, user and system\n'
        f'  mmcv by itself  {plain:7.0f} s so far, not finished\n'
        f'  as set-up does  {joined:7.0f} s{share}'
    )


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--stack', default='openmmlab', choices=sorted(MMCV))
    parser.add_argument('--folder', type=Path, default=FOLDER)
    parser.add_argument(
        '--minutes',
        type=float,
        help=f'begin no compilation later than that; ends with status {STOPPED}',
    )
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
