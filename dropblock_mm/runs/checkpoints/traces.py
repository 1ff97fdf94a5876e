"""Takes back what a refused run has written: an untouched folder says it did nothing.

MMEngine's Runner makes the work dir, a folder for its log and a copy of the config when
it is built. Much that cannot work is refused only then, before the first iteration.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmengine.logging import MMLogger

from dropblock_mm.errors import RefusedError
from dropblock_mm.runs.checkpoints.work_dir import LOCK

# MMEngine names the folder of a run's log by the time; of its config's copy as well,
# where that is of no file.
_LOG_FOLDER = re.compile(r'\d{8}_\d{6}(\.py)?')


class Traces:
    """What stood in a work dir before a run was built there.

    Args:
        work_dir (str): The folder, which need not be there yet.
        config (str): The file that the config is from; its copy has the same name.
    """

    def __init__(self, work_dir: str, config: str | None = None) -> None:
        self.folder = Path(work_dir)
        self.named = {LOCK, Path(config).name if config else LOCK}
        # Of a name that is too long `Path.is_dir` raises, in Python before 3.12.
        there = os.path.isdir(self.folder)
        self.before = {p.name for p in self.folder.iterdir()} if there else None
        made = [p for p in (self.folder, *self.folder.parents) if not os.path.exists(p)]
        self.made = tuple(made)

    @contextmanager
    def gone_if_refused(
        self, unless: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Remove what is new in the folder when a refusal passes.

        Args:
            unless: Asked then; if it says True, training has begun, and its log stays.
        """
        try:
            yield
        except RefusedError:
            if not unless():
                self.remove()
            raise

    def remove(self) -> None:
        """Remove what is new, and the folder if that is.

        Only what a start writes is taken: another run may be at work there.
        """
        _close_logs(self.folder)
        for path in list(self.folder.iterdir()) if os.path.isdir(self.folder) else ():
            if self.before is not None and path.name in self.before:
                continue
            if path.name not in self.named and not _LOG_FOLDER.fullmatch(path.name):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        for folder in self.made:
            if os.path.isdir(folder) and not any(folder.iterdir()):
                folder.rmdir()


def _close_logs(folder: Path) -> None:
    """Close the log files below a folder, or they are written on without a name."""
    below = folder.resolve()
    # MMEngine's loggers are not among those of logging; a run's is the newest.
    for logger in (logging.getLogger(), MMLogger.get_current_instance()):
        for handler in list(logger.handlers):
            path = getattr(handler, 'baseFilename', '')
            if path and Path(path).resolve().is_relative_to(below):
                logger.removeHandler(handler)
                with suppress(OSError):  # a full disk refuses the last line
                    handler.close()
