"""Writes files that are either whole or not there, and says when a disk is full."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from mmengine.fileio import LocalBackend, register_backend

from dropblock_mm.errors import RefusedError

BACKEND = 'dropblock_mm.whole_files'
PART = '.part'  # behind the name of a file that is being written

# No space, no quota, no file as large as this.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Some network file systems have no fsync.
_NO_FSYNC = {errno.EINVAL, errno.ENOTSUP}


class DiskFullError(RefusedError, OSError):
    """A file could not be written for want of space."""


def is_disk_full(error: BaseException) -> bool:
    """Tell whether the system refused a write for want of space."""
    return isinstance(error, OSError) and error.errno in _FULL


def write_whole(content: bytes, path: str | Path) -> None:
    """Write a file beside its place, and move it there once it is on the disk.

    Killed at any moment, this leaves the earlier file of that name, or the new one,
    and at most a file ``<name>.part`` too, which the next write replaces.

    Args:
        content: What to write.
        path: The file.

    Raises:
        DiskFullError: There is no space for it. An earlier file of that name is as
            it was.
    """
    path = Path(path)
    part = path.with_name(path.name + PART)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open('wb') as file:
            file.write(content)
            _to_disk(file)
        os.replace(part, path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        if is_disk_full(error):
            raise DiskFullError(_no_space(path, len(content), error)) from error
        raise


def write_json(path: str | Path, content: Any, indent: int = 1) -> None:
    """Write JSON, as :func:`write_whole` does."""
    write_whole(f'{json.dumps(content, indent=indent)}\n'.encode(), path)


def _to_disk(file: BinaryIO) -> None:
    """Wait until the disk has it: a full one may say so only now."""
    file.flush()
    try:
        os.fsync(file.fileno())
    except OSError as error:
        if error.errno not in _NO_FSYNC:
            raise


def _no_space(path: Path, needed: int, error: OSError) -> str:
    """Word the failure to write a file."""
    free = shutil.disk_usage(path.parent).free
    return (
        f"'{path}' was not written ({error.strerror}): it needs {megabytes(needed)}, "
        f"and '{path.parent}' has {megabytes(free)} free."
    )


def megabytes(size: int) -> str:
    """Write a number of bytes for people."""
    return f'{size / 1e6:,.1f} MB'


@contextmanager
def naming_full_disk(work_dir: str) -> Iterator[None]:
    """Say what to do when a disk fills up in training.

    Of lines of the log that cannot be written nothing is said: logging prints a
    traceback for each, and the next file that is written ends the training.

    Args:
        work_dir: The run's folder.

    Raises:
        DiskFullError: For every error of a full disk.
    """
    says_more, logging.raiseExceptions = logging.raiseExceptions, False
    try:
        yield
    except OSError as error:
        if not (isinstance(error, DiskFullError) or is_disk_full(error)):
            raise
        raise DiskFullError(
            f'training stopped, a disk is full. {error}\n'
            'Checkpoints that were saved before are untouched. Free some space, or '
            'keep fewer (--cfg-options default_hooks.checkpoint.max_keep_ckpts=1: one, '
            'and space for a second while it is replaced). Then the same command with '
            f'--resume goes on in {work_dir!r}.'
        ) from error
    finally:
        logging.raiseExceptions = says_more


class WholeFiles(LocalBackend):
    """MMEngine's local files, each of them written whole."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write a file; see :func:`write_whole`."""
        write_whole(obj, filepath)


register_backend(BACKEND, WholeFiles, force=True)
