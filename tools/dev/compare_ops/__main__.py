"""Compare what the compiled ops of two builds of mmcv compute, to the last bit.

mmcv's own tests of its operators run with each of two wheels, and of every call of a
compiled op a digest is kept (see ``recorder``). Tests for a device that is not here
skip themselves. ``make bench-build`` leaves two such wheels in
``work_dirs/bench_build``.

Example, in an environment that has pytest::

    git clone --branch v2.1.0 https://github.com/open-mmlab/mmcv
    python -m tools.dev.compare_ops mmcv PLAIN.whl JOINED.whl
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.dev.compare_ops.recorder import RECORD

ROOT = Path(__file__).resolve().parents[3]
PLUGIN = 'tools.dev.compare_ops.recorder'


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tests with both, and print what differs; 1 if anything does."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', type=Path, help="a clone of mmcv's repository")
    parser.add_argument('wheels', type=Path, nargs=2, help='two builds of mmcv')
    args = parser.parse_args(argv)
    first, second = (recorded(args.source, wheel.resolve()) for wheel in args.wheels)
    found = differences(first, second)
    calls = [name for test in first['calls'].values() for name, _ in test]
    print(
        *found,
        f'{len(first["names"])} ops are exported; the tests called {len(set(calls))} '
        f'of them {len(calls)} times: {len(found) or "no"} differences',
        sep='\n',
    )
    return int(bool(found) or not calls)


def recorded(source: Path, wheel: Path) -> dict[str, Any]:
    """Run mmcv's tests of its operators with a wheel.

    Returns:
        dict[str, Any]: What the recorder wrote.

    Raises:
        SystemExit: A test failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        site, record = Path(folder, 'site'), Path(folder, 'record.json')
        pip = [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps']
        subprocess.run([*pip, '--target', str(site), str(wheel)], check=True)
        # What comes first is imported, whichever mmcv the environment has.
        path = os.pathsep.join([str(site), str(ROOT)])
        options = [
            '-q',
            '--tb=short',
            '-W',
            'ignore',
            '-p',
            'no:cacheprovider',
            '-p',
            PLUGIN,
        ]
        done = subprocess.run(
            [sys.executable, '-m', 'pytest', '-p', PLUGIN, *options, 'tests/test_ops'],
            cwd=source,
            env={**os.environ, 'PYTHONPATH': path, RECORD: str(record)},
        )
        if done.returncode:
            raise SystemExit(f"compare_ops: mmcv's tests failed with {wheel}")
        return json.loads(record.read_text())


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Name the ops that one build alone has, and the calls that left other numbers."""
    alone = set(first['names']) ^ set(second['names'])
    found = [f'{name}: in one of them alone' for name in sorted(alone)]
    for test in sorted({*first['calls'], *second['calls']}):
        ones, others = (each['calls'].get(test, []) for each in (first, second))
        if [name for name, _ in ones] != [name for name, _ in others]:
            found.append(f'{test}: other ops are called')
            continue
        pairs = zip(ones, others, strict=True)
        found += [f'{test}: {one[0]} differs' for one, other in pairs if one != other]
    return found


if __name__ == '__main__':
    sys.exit(main())
