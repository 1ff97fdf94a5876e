"""Folders that are either complete or not there: made aside, then moved in place.

A manifest, written last, lists every file with its size and SHA-256.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

MANIFEST = 'manifest.json'


def is_complete(root: Path, recipe: dict[str, Any]) -> bool:
    """Tell whether a folder holds, byte for byte, what was made by a recipe.

    Files that the manifest does not list are ignored.

    Args:
        root: The folder, which need not exist.
        recipe: What the folder's content is a function of.
    """
    manifest = read_manifest(root)
    return manifest.get('recipe') == recipe and all(
        describe_file(root / name) == entry for name, entry in manifest['files'].items()
    )


def read_manifest(root: Path) -> dict[str, Any]:
    """Return a folder's manifest, or an empty dict if it has no readable one."""
    try:
        manifest = json.loads((root / MANIFEST).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    readable = isinstance(manifest, dict) and {'recipe', 'files'} <= manifest.keys()
    return manifest if readable else {}


def describe_file(path: Path) -> dict[str, Any] | None:
    """Return a file's size in bytes and its SHA-256, or None if it is missing."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return {'bytes': len(content), 'sha256': hashlib.sha256(content).hexdigest()}


def write_manifest(folder: Path, recipe: dict[str, Any]) -> None:
    """Describe every file of a finished folder."""
    files = {
        path.relative_to(folder).as_posix(): describe_file(path)
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }
    manifest = {'recipe': recipe, 'files': files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding='utf-8')


def remake(
    root: Path, recipe: dict[str, Any], write_content: Callable[[Path], None]
) -> None:
    """Make a folder aside and move it in place, over an incomplete one.

    An interruption leaves ``root`` as it was. Several processes may do this at
    once: each makes the same bytes, and the first to finish wins.

    Args:
        root: Where the folder goes.
        recipe: What its content is a function of.
        write_content: Writes the content into the folder that it is given.
    """
    root.parent.mkdir(parents=True, exist_ok=True)
    # Beside root, because a rename is atomic only within one file system.
    with tempfile.TemporaryDirectory(prefix=f'.{root.name}-', dir=root.parent) as aside:
        # A folder inside: the temporary one itself is private to its owner.
        fresh = Path(aside, 'fresh')
        fresh.mkdir()
        write_content(fresh)
        write_manifest(fresh, recipe)
        if is_complete(root, recipe):
            return
        with contextlib.suppress(FileNotFoundError):
            root.rename(Path(aside, 'stale'))
        try:
            fresh.rename(root)
        except OSError:
            # Another process moved its own in between.
            if not is_complete(root, recipe):
                raise
