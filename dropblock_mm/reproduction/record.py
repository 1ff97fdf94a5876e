"""What is noted about a run: commands, dates, commit, environment."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmengine.utils.dl_utils import collect_env

from dropblock_mm.programs import ROOT, in_clone
from dropblock_mm.runs.checkpoints.whole_files import write_json
from dropblock_mm.version import __version__

ATTEMPTS = 'attempts.json'
_DISTRIBUTIONS = ('mmcv', 'mmdet', 'mmsegmentation', 'mmpretrain')


def commit() -> str:
    """Return the commit of the code, and whether files differ from it."""
    if not in_clone():  # a wheel can lie in somebody else's
        return 'not a git clone'
    try:
        name = _git('rev-parse', '--short=12', 'HEAD')
        changed = _git('status', '--porcelain', '--untracked-files=no')
    except (OSError, subprocess.CalledProcessError):
        return 'not a git clone'
    return f'{name}, with uncommitted changes' if changed else name


def _git(*words: str) -> str:
    command = ['git', '-C', str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@lru_cache(maxsize=1)
def environment() -> dict[str, str]:
    """Return MMEngine's description of this machine, and the libraries' versions."""
    found = {key: str(value) for key, value in collect_env().items()}
    del found['numpy_random_seed']
    for name in _DISTRIBUTIONS:
        for distribution in (name, f'onedl-{name}'.replace('mmdet', 'mmdetection')):
            try:
                found[distribution] = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                continue
    return {**found, 'dropblock_mm': f'{__version__} ({commit()})'}


def now() -> str:
    """Return the time as 2020-01-31T23:59:59+00:00."""
    return datetime.now(timezone.utc).isoformat(timespec='seconds')


def read_attempts(work_dir: Path) -> list[dict[str, Any]]:
    """Return what :func:`attempt` noted, oldest first."""
    try:
        return json.loads((work_dir / ATTEMPTS).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return []


@contextmanager
def attempt(work_dir: Path, command: str) -> Iterator[dict[str, Any]]:
    """Note a command when it begins and when it ends.

    Yields:
        dict: The note; ``status`` is to be set.
    """
    note = {'command': command, 'commit': commit(), 'started': now()}
    notes = [*read_attempts(work_dir), note]
    write_json(work_dir / ATTEMPTS, notes)
    try:
        yield note
    finally:
        note['ended'] = now()
        write_json(work_dir / ATTEMPTS, notes)
