"""Runs another library's script, such as mmdet's own tools, with safe loading.

Usage::

    python -m dropblock_mm.runs.checkpoints.run_script SCRIPT.py ARGUMENTS

Since torch 2.6 these scripts refuse MMEngine's checkpoints. Here they read what
:func:`.safe_loading.keep_loading_safe` lets through, and nothing that runs code.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence

from dropblock_mm.errors import RefusedFileError
from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe


def run_script(argv: Sequence[str]) -> None:
    """Run a script as if it had been started, after :func:`keep_loading_safe`.

    Args:
        argv: Its path, and its arguments.

    Raises:
        FileNotFoundError: There is no such script.
    """
    if not argv or not os.path.isfile(argv[0]):
        raise RefusedFileError(
            f'{argv[0] if argv else ""!r} is no file. Give the script to run, and its '
            'arguments.'
        )
    keep_loading_safe()
    sys.argv[:] = argv
    sys.path[0] = os.path.dirname(os.path.abspath(argv[0]))
    runpy.run_path(argv[0], run_name='__main__')


def main() -> None:
    """Run the script that the command line names; --help tells how to call it."""
    from dropblock_mm.runs.messages import one_message

    argv = sys.argv[1:]
    if argv[:1] in (['-h'], ['--help']):
        print(__doc__)
        return
    with one_message():
        run_script(argv)


if __name__ == '__main__':
    main()
