"""Count the files that run between a config's hooks and the op, on a CPU.

Usage::

    python -m tools.dev.count_files_entered

A toy classifier trains for two epochs with the two hooks of a usual config: injection
and schedule. Printed are the files of the package in which a function is called from
then on, and the first function of each: what one reads to follow a dropped unit.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TOYS = 'testing'  # the model and its data, which a config has in their place
CONFIG = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        block_size=3,
        targets=[dict(module='backbone.layer4')],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
]


def files_entered() -> dict[str, str]:
    """Train, and return the first function called in each file, in order of calls."""
    os.environ['CUDA_VISIBLE_DEVICES'] = ''  # torch reads it when it is imported
    import dropblock_mm
    from dropblock_mm.registry import HOOKS
    from dropblock_mm.testing.toy import toy_runner

    package = Path(dropblock_mm.__file__).resolve().parent
    found: dict[str, str] = {}

    def note(frame: Any, event: str, _: Any) -> None:
        code, file = frame.f_code, Path(frame.f_code.co_filename)
        if event == 'call' and code.co_name != '<module>' and package in file.parents:
            found.setdefault(file.relative_to(package).as_posix(), code.co_name)

    with tempfile.TemporaryDirectory() as folder:
        runner = toy_runner(folder, custom_hooks=[])
        HOOKS.import_from_location()
        sys.setprofile(note)
        try:
            for hook in CONFIG:
                runner.register_hook(HOOKS.build(hook))
            runner.train()
        finally:
            sys.setprofile(None)
    return {file: name for file, name in found.items() if not file.startswith(TOYS)}


def main(argv: Sequence[str] | None = None) -> int:
    """Count and print."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    with contextlib.redirect_stdout(io.StringIO()):  # the toy's log
        found = files_entered()
    print(f'{len(found)} files')
    for file, name in found.items():
        print(f'{file:40} {name}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
