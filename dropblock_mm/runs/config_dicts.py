"""The dicts in a config, however deep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def dicts_in(part: Any, prefix: str = '') -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every dict in a part of a config, the outermost first.

    Args:
        part: The part.
        prefix: What its own keys begin with, such as 'model.'.

    Yields:
        tuple: What the keys of the dict begin with, such as 'model.backbone.', and it.
    """
    items: Any = ()
    if isinstance(part, Mapping):
        yield prefix, part
        items = part.items()
    elif isinstance(part, (list, tuple)):
        items = enumerate(part)
    for name, inner in items:
        yield from dicts_in(inner, f'{prefix}{name}.')
