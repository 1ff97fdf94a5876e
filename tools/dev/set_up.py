"""Make the environment of one stack, and do nothing when it is already there.

Usage: ``python3 -m tools.dev.set_up [--stack openmmlab|onedl] [--keep-python]``,
which the Makefile runs before every other target. It needs the standard library
only, and may be interrupted at any point: pip skips what is installed, and ninja
what is compiled. A stamp in the environment says what it was made from.
"""

import argparse
import signal
import sys


def main() -> int:
    """Set up the environment the command line asks for; 0 when it is ready."""
    if sys.version_info < (3, 10):  # noqa: UP036
        # Before the import, whose annotations an older version cannot read.
        sys.exit(
            f'set-up: Python {sys.version.split()[0]} ({sys.executable}) is too old; '
            'expected 3.10, 3.11 or 3.12. Name one: PYTHON=python3.11 make ...'
        )
    from tools.dev.environment import SetUpError, ensure_environment

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


if __name__ == '__main__':
    sys.exit(main())
