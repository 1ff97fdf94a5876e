"""The loops in C, where the package was built with a compiler: how they are to run.

:mod:`~dropblock_mm.ops.cpu.sparse` calls them, or does without where there are none.
"""

from __future__ import annotations

import ctypes
import importlib
import os
from pathlib import Path
from typing import Any

import torch

try:
    loops: Any = importlib.import_module('dropblock_mm.ops.cpu._native')
except ImportError:  # no compiler was there: setup.py makes it optional
    loops = None

IS_BUILT: bool = loops is not None

# GNU's compiler calls these, and so every OpenMP runtime of Linux has them.
_RUNTIME = ('GOMP_parallel', 'omp_get_thread_num', 'omp_get_num_threads')


def use_torchs_threads() -> bool:
    """Let the loops run on the threads of the OpenMP runtime that torch has loaded.

    A symbol of torch's library is looked up in what that library itself is linked
    with, so it is the runtime of torch whichever others a process has loaded.

    Returns:
        bool: Whether that has the functions; otherwise one thread does all.
    """
    library = torchs_library()
    if library is None:
        return False
    try:
        addresses = [
            ctypes.cast(getattr(library, name), ctypes.c_void_p).value
            for name in _RUNTIME
        ]
    except AttributeError:
        return False
    loops.use_threads(*addresses)
    return True


def torchs_library() -> ctypes.CDLL | None:
    """Return torch's library, which the process has loaded; None by another name."""
    folder = Path(torch.__file__).parent / 'lib'
    try:
        return ctypes.CDLL(str(folder / 'libtorch_cpu.so'))
    except OSError:
        return None


def use_instructions(variant: int) -> int:
    """Choose an instruction set: 0 is what any machine has, -1 the best of this one.

    Returns:
        int: The one that is in use from now on, which is never beyond the machine.
    """
    return loops.use_variant(variant)


def stream_from(size: int) -> int:
    """Choose from how many bytes on an output is written past the caches.

    Returns:
        int: What it was.
    """
    return loops.stream_from(size)


def _use_one_thread() -> None:
    loops.use_threads(0, 0, 0)


if IS_BUILT and use_torchs_threads() and hasattr(os, 'register_at_fork'):
    # Threads do not come along into a child, and a runtime would wait for them.
    os.register_at_fork(after_in_child=_use_one_thread)
