"""Finds the checkpoint to go on from, whatever moment the run was killed at."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from mmengine.runner import find_latest_checkpoint

from dropblock_mm.runs.checkpoints.safe_loading import (
    DamagedCheckpointError,
    is_elsewhere,
    read_checkpoint,
)

_MARKER = 'last_checkpoint'  # MMEngine's: it holds the path of a checkpoint
_SAVED_NAME = re.compile(r'(epoch|iter)_(\d+)\.pth')


def latest_checkpoint(work_dir: str) -> str | None:
    """Find what ``--resume`` without a file continues from.

    That is the file named by ``last_checkpoint``, also where the folder was moved
    since, or a newer one: a run killed right after it saved had no time to name it.
    If these are cut short, which MMEngine's own writing can leave behind, it is the
    newest in the folder that is whole, and a warning says so.

    Args:
        work_dir (str): The run's folder.

    Returns:
        str | None: A path; None if nothing was saved. If nothing is whole, or the
        file may not be loaded, a path all the same: starting anew would overwrite
        what might be saved, so the run is to be refused.
    """
    named = _named(work_dir)
    saved = _saved(_folder(named) or work_dir)
    candidates = [*_unnamed_yet(saved, work_dir, named), *([named] if named else [])]
    earlier = [path for path in saved if path not in candidates]
    damaged: list[str] = []
    for path in candidates + earlier:
        if _is_damaged(path):
            damaged.append(path)
        else:
            _warn(damaged, path)
            return path
    return named or next(iter(candidates), None)


def _named(work_dir: str) -> str | None:
    """The file that ``last_checkpoint`` names."""
    if not os.path.exists(os.path.join(work_dir, _MARKER)):
        return None
    # A kill in MMEngine's writing of it leaves an empty one.
    named = find_latest_checkpoint(work_dir) or None
    if named is None or os.path.exists(named):
        return named
    moved = os.path.join(work_dir, os.path.basename(named))
    return moved if os.path.exists(moved) else named


def _folder(named: str | None) -> str | None:
    """Where checkpoints are, which is elsewhere if the config says so."""
    folder = os.path.dirname(named or '')
    return folder if os.path.isdir(folder) else None


def _saved(folder: str) -> list[str]:
    """Checkpoints by the names that training gives them, newest first."""
    found = [p for p in Path(folder).glob('*.pth') if _SAVED_NAME.fullmatch(p.name)]
    return [str(path) for path in sorted(found, key=_time, reverse=True)]


def _time(path: str | Path) -> tuple[int, int]:
    """When a checkpoint was written; the number decides where the clock is coarse."""
    return Path(path).stat().st_mtime_ns, _number(path)


def _number(path: str | Path) -> int:
    name = _SAVED_NAME.fullmatch(Path(path).name)
    return int(name[2]) if name else -1


def _unnamed_yet(
    saved: Iterable[str], work_dir: str, named: str | None
) -> Iterator[str]:
    """Checkpoints that were written after ``last_checkpoint`` was.

    Copying a folder mixes up the times, an earlier run in it the numbers: both count.
    """
    marker = Path(work_dir, _MARKER)
    written = marker.stat().st_mtime_ns if marker.exists() else 0
    for path in saved:
        if _time(path)[0] >= written and _number(path) > _number(named or ''):
            yield path


def _is_damaged(path: str) -> bool:
    """Tell whether a file is missing or cut short; others are refused later."""
    try:
        if not is_elsewhere(path):
            read_checkpoint(path, path)
    except (DamagedCheckpointError, FileNotFoundError):
        return True
    except ValueError:
        return False
    return False


def _warn(damaged: Iterable[str], path: str) -> None:
    # Launchers start one process per GPU; one of them per machine speaks.
    if os.environ.get('LOCAL_RANK', '0') == '0':
        for bad in damaged:
            print(
                f'warning: --resume: {bad!r} is missing or cut short; going on from '
                f'{path!r} instead',
                file=sys.stderr,
                flush=True,
            )
