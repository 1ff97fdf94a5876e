"""What a command was asked for, to go on with an earlier call for the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dropblock_mm.analysis.trained.models import ModelFiles

_BLOCK = 1 << 20  # bytes that are read at a time
_DIGITS = 16


def models_asked(
    files: Sequence[ModelFiles], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return which models are asked for, as JSON has it.

    A checkpoint is known by its content: a run that was trained anew has the same
    names, and often the same sizes.
    """
    return {
        'models': [
            [file.name, file.checkpoint, digest(Path(file.checkpoint))]
            for file in files
        ],
        'cfg_options': {key: repr(value) for key, value in options.items()},
    }


def files_asked(paths: Sequence[Path]) -> list[list[str]]:
    """Return which files are asked for, known by their content."""
    return [[str(path), digest(path)] for path in paths]


def digest(path: Path) -> str:
    """Return a few digits of the SHA-256 of a file."""
    found = hashlib.sha256()
    with path.open('rb') as content:
        while block := content.read(_BLOCK):
            found.update(block)
    return found.hexdigest()[:_DIGITS]
