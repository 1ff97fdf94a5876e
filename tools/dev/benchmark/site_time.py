"""What the sites themselves take within a training step, where caches are as they are.

A step of a second differs from the next by per cents, whatever is in it; the calls of
its sites take a thousandth of it. So their own time is taken, forward and backward,
while the step runs, and nothing has to be subtracted: without DropBlock there is
nothing in its place. What it leaves out is a microsecond or two at each site, for the
hook that calls the layer and for a node more in the graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from dropblock_mm.layers.scheduled_drop import ScheduledDrop
from tools.dev.benchmark.report import Spread
from tools.dev.benchmark.timing import Call, Sample

Clock = Callable[[], float]


class SiteTimer:
    """Takes the time within the layers of a model that drop units, step by step.

    Args:
        model: The model, from now on.
        clock: Gives seconds.
    """

    def __init__(self, model: nn.Module, clock: Clock = time.perf_counter) -> None:
        self._clock, self._began = clock, 0.0
        self.seconds: list[float] = []  # of each step so far
        self.calls: list[int] = []  # in each step, forward
        for module in model.modules():
            if isinstance(module, ScheduledDrop):
                self._watch(module)

    def during(self, step: Call) -> Call:
        """Return the step, which notes from now on what its sites took."""

        def noted() -> object:
            self.seconds.append(0.0)
            self.calls.append(0)
            return step()

        return noted

    def _watch(self, layer: ScheduledDrop) -> None:
        forward = layer.forward

        def timed(x: Tensor) -> Tensor:
            start = self._clock()
            out = forward(x)
            self.seconds[-1] += self._clock() - start
            self.calls[-1] += 1
            if out is not x and out.grad_fn is not None:
                out.grad_fn.register_prehook(self._begin)
                out.grad_fn.register_hook(self._end)
            return out

        layer.forward = timed  # type: ignore[method-assign]

    def _begin(self, *_: Any) -> None:
        self._began = self._clock()

    def _end(self, *_: Any) -> None:
        self.seconds[-1] += self._clock() - self._began

    def shares(self, steps: list[Sample]) -> Spread:
        """Return the time of the sites in the last steps, in % of the rest of each."""
        found = zip(self.seconds[-len(steps) :], steps, strict=True)
        return Spread.of([100.0 * s / (step.ms / 1e3 - s) for s, step in found])
