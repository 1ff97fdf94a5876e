"""Imports what trainings need, where it is imported: in the server of warm.py."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
from collections.abc import Iterator

VARIABLE = 'DROPBLOCK_MM_WARM_IMPORTS'


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Leave Ctrl-C to the command that started the server, and ends it.

    A terminal sends it to both, and an import would end in a traceback. What is forked
    takes over how the server answers signals before it serves, so that is put back.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


if _names := os.environ.get(VARIABLE, '').split():
    with _deaf_to_interrupts():
        for _name in _names:
            # What cannot be imported is told by the training that cannot import it.
            with contextlib.suppress(Exception):
                importlib.import_module(_name)
