"""Time how soon ``tools/train.py`` reaches its first iteration, in two clones in turn.

Usage::

    git worktree add ../earlier COMMIT
    python -m tools.dev.time_start ../earlier [--runs 3] [--config CONFIG]

Each run is a process of its own that stops when its first batch is there. The clones
take turns, so that what else the machine does troubles both alike. All use this
Python, and share one folder for the data of the demo, which the first run makes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[2]
CONFIG = 'configs/demo/retinanet_r18_fpn_dropblock_digit-scenes.py'
LIMIT = 0.6  # of the earlier clone's time
STOP = """
import os, time
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

@HOOKS.register_module()
class StopAtFirstIteration(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        print('processor seconds', time.process_time(), flush=True)
        os._exit(0)
"""
STOPPING = """
_base_ = [{config!r}]
custom_imports = dict(imports=['stop_at_first'], allow_failed_imports=False)
default_hooks = dict(stop=dict(type='StopAtFirstIteration'))
"""


def time_once(clone: Path, config: str, folder: Path) -> tuple[float, float]:
    """Return the wall and the processor seconds of one start.

    Raises:
        RuntimeError: It did not come to its first iteration.
    """
    stopping = folder / 'stopping.py'
    stopping.write_text(STOPPING.format(config=str(clone / config)))
    (folder / 'stop_at_first.py').write_text(STOP)
    path = os.pathsep.join([str(clone), str(folder)])
    command = [sys.executable, str(clone / 'tools/train.py'), str(stopping)]
    start = perf_counter()
    done = subprocess.run(
        [*command, '--work-dir', str(folder / 'work_dir')],
        cwd=folder,
        env={**os.environ, 'PYTHONPATH': path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    seconds = perf_counter() - start
    _before, found, last = done.stdout.rpartition('processor seconds')
    if not found:
        raise RuntimeError(f'{clone} did not start:\n{done.stdout[-2000:]}')
    return seconds, float(last.split()[0])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if it is more than it may be."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('earlier', type=Path, help='a clone to compare with')
    parser.add_argument('--runs', type=int, default=3, help='of each (3)')
    parser.add_argument('--config', default=CONFIG, help="one of the demo's")
    args = parser.parse_args(argv)
    clones = {'earlier': args.earlier.resolve(), 'now': ROOT}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in clones}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(args.runs + 1):  # the first makes data and bytecode
            for name, clone in clones.items():
                taken = time_once(clone, args.config, Path(folder))
                times[name] += [taken] if turn else []
    for line in compared(times['earlier'], times['now']):
        print(line)
    return int(median_ratio(times['earlier'], times['now'], 0) > LIMIT)


def compared(
    earlier: Sequence[tuple[float, float]], now: Sequence[tuple[float, float]]
) -> list[str]:
    """Word medians and their ratio, of wall time and of processor time."""
    return [
        f'{what}: {statistics.median(t[index] for t in earlier):.1f} s earlier, '
        f'{statistics.median(t[index] for t in now):.1f} s now, '
        f'{median_ratio(earlier, now, index):.2f} of it (median of pairs)'
        for index, what in enumerate(('wall time', 'processor time'))
    ]


def median_ratio(
    earlier: Sequence[tuple[float, float]],
    now: Sequence[tuple[float, float]],
    index: int,
) -> float:
    """Of the pairs that were run one after the other."""
    pairs = zip(earlier, now, strict=True)
    return statistics.median(new[index] / old[index] for old, new in pairs)


if __name__ == '__main__':
    raise SystemExit(main())
