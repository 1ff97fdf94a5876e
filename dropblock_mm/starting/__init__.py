"""Has a command start sooner, by leaving out what most runs never use."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

from dropblock_mm.starting.formatted_once import formatting_once
from dropblock_mm.starting.late_dynamo import load_dynamo_later
from dropblock_mm.starting.late_imports import importing_late

__all__ = ['formatting_once', 'starting_sooner']


@contextlib.contextmanager
def starting_sooner() -> Iterator[None]:
    """Around importing torch and the libraries, and building from a config."""
    load_dynamo_later()
    with importing_late(), _collecting_nothing():
        yield


@contextlib.contextmanager
def _collecting_nothing() -> Iterator[None]:
    """Leave cyclic garbage alone: modules are none, and looking at them takes long.

    What was made stays out of later collections, and workers that are forked go on
    sharing its memory.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collecting:
            gc.enable()
