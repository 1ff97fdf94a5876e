"""A storage that removes checkpoints late: when what replaces them is there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mmengine.logging import MessageHub

# Where a checkpoint keeps the names of files that were to go when it was saved.
OUTDATED = 'outdated_checkpoints'


class RemovingLate:
    """A storage of MMEngine's that notes what it is told to remove.

    The notes are saved with every checkpoint. A run that was killed before the removal
    finds them in the one that it resumes from.

    Args:
        storage: A file backend.
        notes (MessageHub): The run's.
    """

    def __init__(self, storage: Any, notes: MessageHub) -> None:
        self._storage = storage
        self._notes = notes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def remove(self, path: str) -> None:
        """Note a file, or a folder, as DeepSpeed writes them."""
        self._note([*self._noted(), path.rpartition('/')[2]])

    rmtree = remove

    def remove_outdated(self, folder: str, kept: Collection[str | None]) -> None:
        """Remove what was noted.

        Args:
            folder: Where the checkpoints are.
            kept: Paths that stay: a name may have been given anew.
        """
        noted = self._noted()
        for name in noted:
            path = self._storage.join_path(folder, name)
            if path in kept:
                continue
            if self._storage.isfile(path):
                self._storage.remove(path)
            elif self._storage.isdir(path):
                self._storage.rmtree(path)
        if noted:
            self._note([])

    def _noted(self) -> list[str]:
        return list(self._notes.runtime_info.get(OUTDATED, []))

    def _note(self, names: list[str]) -> None:
        self._notes.update_info(OUTDATED, names)
