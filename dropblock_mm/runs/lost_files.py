"""Says so where the work dir, or the data, goes away in the middle of a training."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dropblock_mm.errors import RefusedError

# What a file that is gone, its folder or its mount, has the system say.
_GONE = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EACCES,
    errno.EROFS,
    errno.EIO,
    errno.ENODEV,
    errno.ENXIO,
    errno.ENOTCONN,
    errno.ESTALE,
    errno.EHOSTDOWN,
}
# Out of a worker process comes an error of the same class that quotes the other.
_QUOTED = re.compile(r"\[Errno (\d+)\] [^:\n]*: '([^'\n]+)'")


class LostFilesError(RefusedError, OSError):
    """A folder that a training needs was there when it began, and is not any more."""


@contextmanager
def naming_lost_files(work_dir: str) -> Iterator[None]:
    """Say which folder is gone, and what to do.

    Args:
        work_dir: The run's folder.

    Raises:
        LostFilesError: A file of the work dir could not be written, or the folder of
            another file is not there, is empty or cannot be looked into. All else
            passes as it is, a single file that is missing too.
    """
    try:
        yield
    except RefusedError:
        raise
    except OSError as error:
        number, path = _told(error)
        if number not in _GONE or not path:
            raise
        reason = f'{os.strerror(number)}: {path!r}'
        again = f'then the same command with --resume goes on in {work_dir!r}.'
        if Path(path).absolute().is_relative_to(Path(work_dir).absolute()):
            raise LostFilesError(
                f'training stopped, its work dir cannot be written any more. {reason}. '
                f'Bring {work_dir!r} back, or let it be written; {again} What is not '
                'saved there by then is lost.'
            ) from error
        folder = os.path.dirname(os.path.abspath(path))
        if not _is_gone(folder):
            raise
        raise LostFilesError(
            f'training stopped, files that it reads are not there any more. {reason}. '
            f'{folder!r} is missing, empty or cannot be read. Bring it back (mount it '
            f'again, say); {again}'
        ) from error


def _told(error: OSError) -> tuple[int, str]:
    """The system's number for an error, and the path; '' if it does not say."""
    if error.errno is not None and error.filename is not None:
        return error.errno, os.fsdecode(error.filename)
    quoted = _QUOTED.findall(str(error))
    return (int(quoted[-1][0]), quoted[-1][1]) if quoted else (0, '')


def _is_gone(folder: str) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return True
