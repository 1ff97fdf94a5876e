"""A plugin of pytest that notes what every call of mmcv's compiled ops computed.

An op writes into tensors that it is given, so a digest is taken of all of its
arguments, as the call left them, and of what it returned. Every test begins with the
same seed, and memory that no one wrote has the same content.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

RECORD = 'DROPBLOCK_MM_RECORD_OPS'  # names the file that is written


class Recorder:
    """Stands before the ops of ``mmcv._ext``.

    Args:
        ext: The module; mmcv's Python code asks it for an op at every call.
    """

    def __init__(self, ext: Any) -> None:
        ops = [name for name in dir(ext) if not name.startswith('_')]
        self.names = [name for name in ops if callable(getattr(ext, name))]
        self.test = ''
        self.calls: dict[str, list[tuple[str, str]]] = {}
        for name in self.names:
            setattr(ext, name, self._noting(name, getattr(ext, name)))

    def _noting(self, name: str, op: Callable) -> Callable:
        def call(*args: Any, **kwargs: Any) -> Any:
            out = op(*args, **kwargs)
            sha256 = hashlib.sha256()
            for value in (args, sorted(kwargs.items()), out):
                add(value, sha256)
            self.calls.setdefault(self.test, []).append((name, sha256.hexdigest()))
            return out

        return call


def add(value: Any, digest: Any) -> None:
    """Add tensors by their type, shape and bytes, and all else as it is printed."""
    if isinstance(value, (list, tuple)):
        for part in value:
            add(part, digest)
    elif isinstance(value, torch.Tensor):
        digest.update(f'{value.dtype}{tuple(value.shape)}'.encode())
        digest.update(value.detach().cpu().numpy().tobytes())
    else:
        digest.update(repr(value).encode())


def pytest_configure(config: pytest.Config) -> None:
    """Put the recorder in place before mmcv's Python code is imported."""
    # Of this mode only what torch fills memory with is wanted.
    torch.use_deterministic_algorithms(True, warn_only=True)
    config.recorder = Recorder(importlib.import_module('mmcv._ext'))  # type: ignore


@pytest.fixture(autouse=True)
def _seeded(request: pytest.FixtureRequest) -> None:
    """Begin every test alike, and say which it is."""
    request.config.recorder.test = request.node.nodeid  # type: ignore
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was noted."""
    recorder = session.config.recorder  # type: ignore
    noted = {'names': recorder.names, 'calls': recorder.calls}
    Path(os.environ[RECORD]).write_text(json.dumps(noted))
