"""Count how often the check of data turns back on its way through a config.

Usage::

    python -m tools.dev.count_turns CONFIG

The check that comes before training reads a config that notes it. Printed are the parts
of the config, such as ``model`` or ``val_dataloader``, in the order in which they are
read, and how many of these readings are of a part that had been left before: what one
has to keep in mind to follow it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from mmengine.config import Config

LOOPS = ('train', 'val')


class _Noting(dict[str, Any]):
    """A dict that notes under which part of the config it is read."""

    def __init__(self, content: dict[str, Any], part: str, notes: list[str]) -> None:
        super().__init__(
            {key: _noting(value, part or key, notes) for key, value in content.items()}
        )
        self._part, self._notes = part, notes

    def _note(self, key: str) -> None:
        self._notes.append(self._part or key)

    def __getitem__(self, key: str) -> Any:
        self._note(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._note(str(key))
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._note(key)
        return super().get(key, default)

    def items(self) -> Any:
        return ((key, self[key]) for key in [*super().keys()])

    def values(self) -> Any:
        return (value for _, value in self.items())


def _noting(value: Any, part: str, notes: list[str]) -> Any:
    if isinstance(value, dict):
        return _Noting(value, part, notes)
    if isinstance(value, (list, tuple)):
        return type(value)(_noting(one, part, notes) for one in value)
    return value


class _Config:
    """All that the check asks of a config."""

    def __init__(self, content: dict[str, Any]) -> None:
        self._content = content

    def to_dict(self) -> dict[str, Any]:
        return self._content


def parts_read(cfg: Config, loops: Sequence[str] = LOOPS) -> list[str]:
    """Check a config's data, and return the parts that are read, in order."""
    from dropblock_mm.data_checks.quick import check_data

    notes: list[str] = []
    check_data(_Config(_Noting(cfg.to_dict(), '', notes)), loops)
    return [part for part, _ in groupby(notes)]


def turns_back(parts: Sequence[str]) -> Iterator[str]:
    """Yield the parts that had been read, and left, before."""
    seen = set()
    for part in parts:
        if part in seen:
            yield part
        seen.add(part)


def main(argv: Sequence[str] | None = None) -> int:
    """Count and print."""
    from dropblock_mm import runs

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('config')
    cfg = runs.load_config(parser.parse_args(argv).config)
    runs.prepare_library(cfg)
    with contextlib.redirect_stderr(io.StringIO()):  # what is odd in the data
        parts = parts_read(cfg)
    turns = [*turns_back(parts)]
    print(f'turns back {len(turns)} times: {", ".join(turns)}')
    print(f'on its way: {", ".join(parts)}')
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
