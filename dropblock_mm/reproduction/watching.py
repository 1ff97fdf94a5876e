"""Tells how far the runs at work have come, and how long all will take."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from dropblock_mm.reproduction.carrying import Carrier

EVERY = 30.0  # seconds between two lines
_LINE = re.compile(
    r'(Epoch|Iter)\((train|test)\)\s+((?:\[[^\]]+\])+)'
    r'.*?\beta: ((?:\d+ days?, )?[\d:]+)'
)
_TIME = re.compile(r'(?:(\d+) days?, )?(\d+):(\d+):(\d+)')
_TAIL = 65536  # bytes


@dataclass(frozen=True)
class Left:
    """What a training, or an evaluation, last said of itself.

    Args:
        done: Such as 'epoch [2][20/50]', or 'evaluates [20/50]'.
        seconds: That it thinks are left.
    """

    done: str
    seconds: float


def last_said(carrier: Carrier) -> Left | None:
    """Read a command's own estimate from its output; None before the first."""
    if not carrier.log.exists():
        return None
    with carrier.log.open('rb') as file:
        size = carrier.log.stat().st_size
        file.seek(max(carrier.log_start, size - _TAIL))
        found = _LINE.findall(file.read().decode(errors='replace'))
    if not found:
        return None
    unit, kind, place, eta = found[-1]
    what = unit.lower() if kind == 'train' else 'evaluates'
    return Left(f'{what} {re.sub(" +", "", place)}', seconds_of(eta))


def seconds_of(text: str) -> float:
    """Read '1 day, 2:03:04'."""
    days, hours, minutes, seconds = (int(n or 0) for n in _TIME.search(text).groups())  # type: ignore[union-attr]
    return ((days * 24 + hours) * 60 + minutes) * 60.0 + seconds


def clock(seconds: float) -> str:
    """Write seconds as 2:03:04."""
    return str(timedelta(seconds=round(seconds)))


@dataclass
class Watch:
    """Says now and then how far all is.

    Args:
        say: Told so, in lines.
        total: Number of runs.
        at_once: How many are at work at once.
        now: The time in seconds.
    """

    say: Callable[[str], None]
    total: int
    at_once: int
    now: Callable[[], float] = time.monotonic
    ended: int = 0
    durations: list[float] = field(default_factory=list)
    _begun: dict[str, float] = field(default_factory=dict)
    _said: float | None = None

    def look(self, active: Sequence[Carrier]) -> None:
        """Note who is at work, and say it if it is time."""
        moment = self.now()
        for carrier in active:
            self._begun.setdefault(carrier.label, moment)
        if self._said is None:
            self._said = moment
        if moment - self._said < EVERY:
            return
        self._said = moment
        told = [(carrier, last_said(carrier)) for carrier in active]
        for carrier, left in told:
            if left:
                self.say(
                    f'{carrier.label}: {left.done}, {clock(left.seconds)} left'
                    + self._of_all([one for _, one in told])
                )
            else:  # it imports, or waits in a queue
                what = 'evaluates' if carrier.evaluates else 'no iteration yet'
                self.say(f'{carrier.label}: {what}; see {carrier.log}')

    def end(self, carrier: Carrier, failed: bool) -> None:
        """Note that one has ended."""
        self.ended += 1
        begun = self._begun.pop(carrier.label, None)
        if begun is not None and not failed:
            self.durations.append(self.now() - begun)

    def _of_all(self, left: Sequence[Left | None]) -> str:
        seconds = self.left(left)
        if seconds is None or self.total == 1:
            return ''
        return f'; all {self.total} runs: {clock(seconds)} left'

    def left(self, active: Sequence[Left | None]) -> float | None:
        """Estimate the seconds until all has ended.

        Args:
            active: What those at work say.

        Returns:
            None before anything is known of a whole run.
        """
        waiting = self.total - self.ended - len(active)
        known = [one.seconds for one in active if one]
        if not known:
            return None
        if not waiting:
            return max(known)
        if self.durations:
            whole = sum(self.durations) / len(self.durations)
        else:
            moment = self.now()
            passed = [moment - begun for begun in self._begun.values()]
            whole = max(passed, default=0.0) + max(known)
        return (sum(known) + waiting * whole) / max(1, min(self.at_once, self.total))
