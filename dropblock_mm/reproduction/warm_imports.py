"""Imports what trainings need, where it is imported: in the server of warm.py."""

from __future__ import annotations

import contextlib
import importlib
import os

VARIABLE = 'DROPBLOCK_MM_WARM_IMPORTS'

for _name in os.environ.get(VARIABLE, '').split():
    # What cannot be imported here is told by the training that cannot import it.
    with contextlib.suppress(Exception):
        importlib.import_module(_name)
