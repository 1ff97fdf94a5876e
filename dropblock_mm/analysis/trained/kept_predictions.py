"""A model's predictions as files, which an interrupted call goes on from."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dropblock_mm.analysis.trained.asked import digest
from dropblock_mm.analysis.trained.predictions import Prediction
from dropblock_mm.runs.checkpoints.whole_files import write_whole
from dropblock_mm.runs.folders import check_folder

KEEP_EVERY = 30.0  # seconds between writing down what was found
_OWN = ('image', 'sha256', 'told')  # of an entry, beside what the model found


class KeptPredictions:
    """Pictures as they are drawn, and ``predictions.json`` of all of them.

    Args:
        folder: Of the model.
        what: What is asked of which model, as JSON has it. Predictions of an earlier
            call for something else are made anew.

    Raises:
        RefusedFileError: The folder cannot be written.
    """

    def __init__(self, folder: Path, what: Mapping[str, Any]) -> None:
        check_folder(folder, f'--out-dir {str(folder.parent)!r}')
        self.folder = folder
        asked = folder / 'asked.json'
        same = _read(asked) == what
        self._earlier = _read(folder / 'predictions.json') if same else {}
        self._entries: dict[str, dict[str, Any]] = {}
        write_whole(_written(what), asked)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around the predictions: write down what was found, interrupted or not."""
        self._kept_at = time.monotonic()
        try:
            yield
        finally:
            self._write()

    def known(self, number: int, path: Path) -> Prediction | None:
        """Return what an earlier call predicted on an image, if it did."""
        name = _name(number, path)
        entry = self._earlier.get(name, {})
        picture = self.folder / name
        is_same = entry.get('image') == str(path) and entry['sha256'] == digest(path)
        if not is_same or not picture.is_file():
            return None
        self._entries[name] = entry
        found = {key: value for key, value in entry.items() if key not in _OWN}
        return Prediction(str(path), picture, found, entry['told'])

    def keep(self, number: int, prediction: Prediction) -> Prediction:
        """Write a picture, and return the prediction with that for its pixels."""
        path = Path(prediction.path)
        name = _name(number, path)
        picture = self.folder / name
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(prediction.drawn)).save(buffer, 'png')
        write_whole(buffer.getvalue(), picture)
        self._entries[name] = {
            'image': prediction.path,
            'sha256': digest(path),
            'told': prediction.told,
            **prediction.found,
        }
        if time.monotonic() - self._kept_at > KEEP_EVERY:
            self._write()
            self._kept_at = time.monotonic()
        return replace(prediction, drawn=picture)

    def _write(self) -> None:
        # What an earlier call found and this one did not come to stays known.
        both = {**self._earlier, **self._entries}
        write_whole(_written(both), self.folder / 'predictions.json')


def _name(number: int, path: Path) -> str:
    # Folders may hold images of the same name.
    return f'{number:04d}_{path.stem}.png'


def _written(content: Mapping[str, Any]) -> bytes:
    return f'{json.dumps(content, indent=1)}\n'.encode()


def _read(path: Path) -> dict[str, Any]:
    """Return what a file holds; nothing, if it is not there or was cut short."""
    try:
        found = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
