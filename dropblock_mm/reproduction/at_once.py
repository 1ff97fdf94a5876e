"""Has several runs at work at once, and ends all of them where one command ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from dropblock_mm.reproduction.carrying import Carrier, Steps
from dropblock_mm.reproduction.processes import Running

PAUSE = 0.1  # seconds


@dataclass
class _Slot:
    """A carrier at work, on a command."""

    carrier: Carrier
    steps: Steps
    running: Running
    place: int

    def stop(self) -> None:
        self.running.stop()


def visible_gpus() -> list[str]:
    """Name the GPUs that this process may use, as CUDA_VISIBLE_DEVICES does."""
    told = os.environ.get('CUDA_VISIBLE_DEVICES')
    if told is not None:
        return [name.strip() for name in told.split(',') if name.strip()]
    return [str(number) for number in range(torch.cuda.device_count())]


def carry_all(
    carriers: Sequence[Carrier],
    at_once: int,
    look: Callable[[list[Carrier]], None] = lambda active: None,
) -> Generator[tuple[Carrier, str], None, None]:
    """Carry out runs, some at once, each begun in its turn.

    Args:
        carriers: One for each run.
        at_once: How many may be at work. Each gets a GPU where there are several.
        look: Called again and again with those that are at work.

    Yields:
        tuple[Carrier, str]: One that has ended, and what went wrong, or ''.

    Raises:
        KeyboardInterrupt: As it came, after all commands have ended.
    """
    gpus = visible_gpus() if at_once > 1 else []
    waiting = list(carriers)
    places = list(range(at_once))
    active: list[_Slot] = []
    try:
        while waiting or active:
            while waiting and places:
                carrier, place = waiting.pop(0), places.pop(0)
                carrier.gpu = gpus[place % len(gpus)] if gpus else None
                steps = carrier.steps()
                try:
                    active.append(_Slot(carrier, steps, next(steps), place))
                except StopIteration as end:
                    places.insert(0, place)
                    yield carrier, end.value
            for slot in list(active):
                status = slot.running.poll()
                if status is None:
                    continue
                try:
                    slot.running = slot.steps.send(status)
                except StopIteration as end:
                    active.remove(slot)
                    places.append(slot.place)
                    yield slot.carrier, end.value
            if active:
                look([slot.carrier for slot in active])
                time.sleep(PAUSE)
    finally:
        with ExitStack() as stack:  # each, whatever happens to the others
            for slot in active:
                stack.callback(slot.steps.close)
                stack.callback(slot.stop)
