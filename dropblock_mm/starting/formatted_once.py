"""Formats a config's text once for all who ask MMEngine for it.

From the first line of the log to the first iteration MMEngine formats the same config
six times, and once more for every checkpoint. Each takes a fifth of a second and more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_NAME = 'FormatCode'
_done: dict[str, Any] = {}


@contextmanager
def formatting_once() -> Iterator[None]:
    """Around a run: a text that was formatted before is not formatted again."""
    # Not earlier: both are imported with MMEngine, and so with torch.
    from mmengine.config import config as mmengine_config
    from yapf.yapflib import yapf_api

    # MMEngine has the function among its own names, onedl-mmengine looks it up in yapf.
    module: Any = mmengine_config if hasattr(mmengine_config, _NAME) else yapf_api
    original = getattr(module, _NAME)

    def format_code(text: str, **settings: Any) -> Any:
        key = f'{settings!r}{text}'
        if key not in _done:
            _done[key] = original(text, **settings)
        return _done[key]

    setattr(module, _NAME, format_code)
    try:
        yield
    finally:
        setattr(module, _NAME, original)
