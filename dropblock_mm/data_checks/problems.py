"""Kinds of problems, and how they are counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

NAMED = 3


@dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Args:
        title: What there is some number of: 'boxes without an area'.
        remedy: What comes of it, and what to do.
        is_error: Whether training would end, or learn what is wrong. Of the others
            the user is told, and training goes on.
    """

    title: str
    remedy: str
    is_error: bool


# A kind, and which of the data it is about.
Problem = tuple[Kind, str]


def error(title: str, remedy: str) -> Kind:
    """Make a kind that ends training or spoils it."""
    return Kind(title, remedy, is_error=True)


def warning(title: str, remedy: str) -> Kind:
    """Make a kind that training can live with."""
    return Kind(title, remedy, is_error=False)


_NOT_THERE = ' that are not there'


def missing(what: str) -> Kind:
    """Make the kind of files that are named and do not exist."""
    remedy = 'Complete the data set, or correct data_prefix.'
    return error(f'{what}{_NOT_THERE}', f'{remedy}{_NONE_FOR_EMPTY.get(what, "")}')


# Some tools write nothing for an image without objects, which libraries then look for.
_NONE_FOR_EMPTY = {
    'XML files': ' For an image without objects write one without <object>, or take '
    'its name out of the list.',
    'label maps': ' For an image without objects write a map of background alone, or '
    'take its name out of the list.',
}


# Each names the key of the config that is to blame, and what to do.
UNUSABLE = error('paths or settings that cannot be used', 'Change these keys.')


@dataclass(frozen=True)
class Finding:
    """A kind, how often it occurs, and the first few that it is about."""

    kind: Kind
    count: int
    examples: tuple[str, ...]

    @property
    def text(self) -> str:
        """In words: '4 boxes without an area (a, b, c, ...)'."""
        shown = self.examples[:NAMED]
        named = ', '.join(shown)
        more = ', ...' if self.count > len(shown) else ''
        return f'{self.count} {self.kind.title}' + (
            f' ({named}{more})' if named else ''
        )

    @property
    def sentence(self) -> str:
        """What is wrong with the file that names the data, to stand behind its key."""
        what = self.kind.title
        if not what.endswith(_NOT_THERE):
            return self.text
        shown = ', '.join(map(repr, self.examples[:NAMED]))
        more = ', ...' if self.count > NAMED else ''
        return (
            f'it names {self.count} {what.removesuffix(_NOT_THERE)} ({shown}{more})'
            f'{_NOT_THERE}'
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return {**asdict(self.kind), 'count': self.count, 'examples': self.examples}


def tally(problems: Iterable[Problem], named: int = NAMED) -> list[Finding]:
    """Count problems by their kind.

    Args:
        problems: In any order.
        named (int): So many examples are kept of each kind, the first ones.

    Returns:
        list[Finding]: Errors first, otherwise in the order of their first problem.
    """
    counts: dict[Kind, int] = {}
    examples: dict[Kind, list[str]] = {}
    for kind, example in problems:
        counts[kind] = counts.get(kind, 0) + 1
        kept = examples.setdefault(kind, [])
        if example and len(kept) < named:
            kept.append(example)
    findings = [Finding(k, n, tuple(examples[k])) for k, n in counts.items()]
    return sorted(findings, key=lambda finding: not finding.kind.is_error)
