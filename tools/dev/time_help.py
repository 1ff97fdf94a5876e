"""Time ``--help`` of every command, started as a user starts it.

Usage: ``python -m tools.dev.time_help [--runs 3]``. Each is a process of its own, the
script of a clone and then the same command of the installed package. Printed is the
processor time, the median of the runs; the time on an idle machine is that and no more.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence

from dropblock_mm.programs import PROGRAMS, ROOT

LIMIT = 1.0  # second


def commands() -> list[tuple[str, ...]]:
    """What a user types behind ``python``."""
    found = [path.relative_to(ROOT) for path in sorted((ROOT / 'tools').rglob('*.py'))]
    scripts = [
        (str(path),)
        for path in found
        if path.parts[1] != 'dev' and path.stem != '__init__'
    ]
    modules = [('-m', 'dropblock_mm', name) for name in PROGRAMS]
    return [*scripts, ('-m', 'dropblock_mm'), *modules]


def seconds_of(words: Sequence[str]) -> float:
    """The processor time of one ``--help``, user and system."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *words, '--help'],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if one takes longer than it may."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--runs', type=int, default=3, help='of each (3)')
    args = parser.parse_args(argv)
    longest = 0.0
    for words in commands():
        seconds = statistics.median(seconds_of(words) for _ in range(args.runs))
        print(f'{seconds:5.2f} s  python {" ".join(words)} --help', flush=True)
        longest = max(longest, seconds)
    print(f'{longest:5.2f} s at most, of {LIMIT:.0f} s')
    return int(longest > LIMIT)


if __name__ == '__main__':
    raise SystemExit(main())
