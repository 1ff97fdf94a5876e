"""Build mmcv's wheel for the Python and the torch that run this.

Usage: ``python -m tools.dev.build_mmcv [FOLDER] [--stack openmmlab|onedl]``, in an
environment of your own that has torch. mmcv's own setup.py asks for C++17, which
torch 2.14 refuses; here torch chooses, and the build takes a tenth of the processor
time. It may be interrupted and run again.
"""

import argparse
import sys
from pathlib import Path

from tools.dev.environment.machine import (
    SetUpError,
    check_compiler,
    check_memory,
)
from tools.dev.environment.mmcv_wheel import (
    build_and_keep,
    build_kind,
    check_build_tools,
)
from tools.dev.environment.package_index import pinned
from tools.dev.environment.steps import Steps
from tools.dev.environment.whole import MMCV, REQUIREMENTS


def main() -> int:
    """Build the wheel the command line asks for; 0 when it is there."""
    args = parse_args()
    try:
        wheel = build(args.stack, args.folder.resolve())
    except SetUpError as error:
        print(f'build_mmcv: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('\nbuild_mmcv: interrupted; run it again to continue.', file=sys.stderr)
        return 130
    print(f'{wheel} is ready. Install it: {sys.executable} -m pip install {wheel}')
    return 0


def build(stack: str, folder: Path) -> Path:
    """Check the machine and the environment, and build; see the module."""
    check_compiler()
    check_memory()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetUpError(
            f'the folder {folder} cannot be made ({error.strerror}); expected a place '
            'for the wheel. Name another: python -m tools.dev.build_mmcv FOLDER'
        ) from error
    with open(folder / 'build_mmcv.log', 'w') as log:
        steps = Steps(Path(sys.prefix), log, log.fileno())
        check_build_tools(steps)
        requirement = pinned(REQUIREMENTS / f'{stack}.txt', MMCV[stack])
        work = folder / f'build-{requirement}-{build_kind(steps)}'
        return build_and_keep(steps, requirement, work, folder)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        'folder',
        nargs='?',
        type=Path,
        default=Path('wheels'),
        help='where the wheel goes (default: wheels)',
    )
    parser.add_argument('--stack', default='openmmlab', choices=sorted(MMCV))
    return parser.parse_args()


if __name__ == '__main__':
    sys.exit(main())
