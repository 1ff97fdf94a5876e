"""Time what ``import dropblock_mm`` adds to ``import torch``.

Usage::

    python -m tools.dev.time_import [--runs 5] [--python PYTHON]

Each run is a process of its own that imports torch and then the package, with a clock
around each. Give another ``--python`` to time an environment with torch alone.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = """
import importlib.util
from time import perf_counter as now
start = now()
import torch
middle = now()
import dropblock_mm
end = now()
print(middle - start, end - middle, bool(importlib.util.find_spec('mmengine')))
"""
LIMIT = 0.1  # seconds that the package may add


def measure(python: str, runs: int) -> tuple[list[float], list[float], bool]:
    """Return the seconds of torch, those of the package, and if there is MMEngine."""
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    torch, package, engine = [], [], False
    for _ in range(runs):
        command = [python, '-c', CODE]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=True
        )
        words = done.stdout.split()
        torch.append(float(words[0]))
        package.append(float(words[1]))
        engine = words[2] == 'True'
    return torch, package, engine


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if it is more than it may be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--runs', type=int, default=5, help='processes (5)')
    parser.add_argument('--python', default=sys.executable, help='interpreter (this)')
    args = parser.parse_args(argv)
    torch, package, engine = measure(args.python, args.runs)
    print(f'import torch:        {told(torch)}')
    print(
        f'import dropblock_mm: {told(package)}, {"with" if engine else "no"} MMEngine'
    )
    return int(statistics.median(package) > LIMIT)


def told(seconds: Sequence[float]) -> str:
    """Return the median and the range."""
    median = statistics.median(seconds)
    return f'{median:.3f} s ({min(seconds):.3f} to {max(seconds):.3f})'


if __name__ == '__main__':
    raise SystemExit(main())
