"""Keeps what a long run has found, so that the same command goes on after an end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


class KeptFindings:
    """Findings by key, each a line of JSON in a file.

    Args:
        path: The file; None keeps nothing.
        state: What all findings depend on. A file of another state is begun anew.
    """

    def __init__(self, path: Path | None, state: str = '') -> None:
        self._path = path
        self._known: dict[str, Any] = {}
        if path is None:
            return
        lines = path.read_text().splitlines() if path.exists() else []
        if lines[:1] == [json.dumps(state)]:
            self._known = dict(_whole(lines[1:]))
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = (json.dumps(item) for item in [state, *self._known.items()])
        path.write_text(''.join(f'{line}\n' for line in kept))

    def get(self, key: str, find: Callable[[], Any]) -> Any:
        """Return what was found for a key, or find it now.

        Args:
            key: Any text; its digest is kept.
            find: Returns what JSON can say.
        """
        short = hashlib.sha256(key.encode()).hexdigest()[:24]
        if short not in self._known:
            self._known[short] = find()
            if self._path is not None:
                with self._path.open('a') as file:
                    file.write(json.dumps([short, self._known[short]]) + '\n')
        return self._known[short]


def _whole(lines: Sequence[str]) -> list[list[Any]]:
    """Parse the lines; the last may have been cut short."""
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return found


def digest_of(places: Sequence[Path]) -> str:
    """Return what changes with any of some files, or Python file in some folders."""
    digest = hashlib.sha256()
    for place in places:
        for path in sorted(place.rglob('*.py')) if place.is_dir() else [place]:
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:24]
