"""Measure what a sweep adds to the training of a point.

Usage::

    python -m tools.dev.time_sweep [--points 2 8]

Two sweeps of different length train a toy for one epoch of four iterations, which takes
no time worth mentioning. The difference of their processor times, over that of their
points, is what a point costs beside its training: to plan it, start it, build the
runner, evaluate, read the results, and renew tables and figures. Processes that outlive
the one that started them are waited for, and counted.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dropblock_mm.testing.toy import EVALUATED_TOY_CONFIG

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 3.0  # seconds that a point may take beside its training
_ADOPT_ORPHANS = 36  # prctl's PR_SET_CHILD_SUBREAPER


def of_children() -> float:
    """Return the processor time of all children that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def sweep(points: int) -> float:
    """Train so many points, and return the processor time."""
    rates = [f'{1 - place / 100:g}' for place in range(points)]
    words = ['--keep-prob', *rates, '--block-size', '1', '--seeds', '0']
    before = of_children()
    with tempfile.TemporaryDirectory() as folder:
        config = EVALUATED_TOY_CONFIG.replace('max_epochs=3', 'max_epochs=1')
        Path(folder, 'toy.py').write_text(config)
        subprocess.run(
            [sys.executable, ROOT / 'tools/sweep.py', 'toy.py', *words],
            cwd=folder,
            env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        wait_for_all()
    return of_children() - before


def wait_for_all() -> None:
    """Wait for all children, the adopted ones too."""
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a point takes more than it may."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--points', nargs=2, type=int, default=(2, 8), help='of the sweeps (2 8)'
    )
    args = parser.parse_args(argv)
    ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, 1, 0, 0, 0)
    short, long = args.points
    first, second = sweep(short), sweep(long)
    each = (second - first) / (long - short)
    print(f'{short} points: {first:.2f} s of processor time; {long}: {second:.2f} s')
    print(f'a point: {each:.2f} s, and {first - short * each:.2f} s before the first')
    return int(each > LIMIT)


if __name__ == '__main__':
    raise SystemExit(main())
