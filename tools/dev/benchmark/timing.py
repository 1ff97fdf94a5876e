"""Times calls in turn, and keeps the operating system's pages out of it."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tools.dev.benchmark.report import Spread

Call = Callable[[], object]
Op = Callable[[Tensor], Tensor]

WARM_UP = 3
MANY_PAGES = 256  # 1 MiB
BUSY = 50  # interruptions a second; a process that has to share its core has 100 to 250
# Of one call on a GPU, whose kernels are too short for one pair of events.
CUDA_CALLS = 20
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # glibc's malloc.h


@dataclass(frozen=True)
class Sample:
    """What one call took, and what disturbed it.

    Args:
        ms: Time in milliseconds.
        faults: How often it waited for a page of memory.
        interruptions: How often another process took a core from it.
    """

    ms: float
    faults: int = 0
    interruptions: int = 0


def retain_pages() -> bool:
    """Make malloc keep freed memory instead of returning it to the system.

    By default glibc returns blocks of some MB at times. Whoever allocates next waits
    for fresh pages, 3,200 faults or about 2 ms for 13 MB, whichever op it is. With
    this every op finds its pages in place, as with jemalloc or tcmalloc.

    Returns:
        bool: Whether it worked; only glibc has the function.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, -1))


@contextlib.contextmanager
def room_for(x: Tensor, results: int = 2) -> Iterator[None]:
    """Leave free blocks of memory into which results of the size of ``x`` fit.

    glibc looks for a hundred bytes more than it hands out aligned, so it cannot give a
    block that was freed to the next tensor of the same size. Results then wander
    through five to seven blocks, and which op finds its own in the cache is a lottery.
    The free blocks are larger, and blocks of the same size keep them apart: glibc would
    find smaller ones a place elsewhere. What it cuts off behind a result it keeps from
    the block, up to seven times (its thread cache); then :func:`strays` are in the way.
    """
    blocks = [
        torch.empty(
            x.numel() * x.element_size() + 4096, dtype=torch.uint8, device=x.device
        )
        for _ in range(2 * results)
    ]
    del blocks[::2]
    in_the_way = []
    for _ in range(4):
        found = strays(x, results)
        in_the_way += found
        if not found:
            break
    yield
    del in_the_way


def strays(x: Tensor, results: int, rounds: int = 32) -> list[Tensor]:
    """Return blocks to hold so that results like ``x`` stay where they are.

    glibc takes turns among free blocks of one size.

    Args:
        x: Says the size.
        results: How many are held at once.
        rounds: Of allocating and freeing them. The blocks in which they are after half
            of them are their home; those in which they are later are returned.
    """
    found: list[Tensor] = []
    home: set[int] = set()
    for number in range(rounds):
        held = [torch.empty_like(x) for _ in range(results)]
        if number < rounds // 2:
            home = {block.data_ptr() for block in held}
        else:
            found += [block for block in held if block.data_ptr() not in home]
        del held
    return found


def forward_backward(op: Op, x: Tensor, grad: Tensor) -> Call:
    """Return a call that runs ``op`` on ``x`` and takes the gradient.

    ``torch.autograd.grad`` returns the gradient; ``backward`` might copy it.
    """
    return lambda: torch.autograd.grad(op(x), x, grad)


def take_sample(call: Call, device: str) -> Sample:
    """Time one call, or on a GPU the mean of several in a row."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    ms = _time_cuda(call) if device == 'cuda' else _time_cpu(call)
    after = resource.getrusage(resource.RUSAGE_SELF)
    return Sample(
        ms, after.ru_minflt - before.ru_minflt, after.ru_nivcsw - before.ru_nivcsw
    )


def interleave(
    calls: Mapping[str, Call], rounds: int, device: str = 'cpu', *, rotate: bool = False
) -> dict[str, list[Sample]]:
    """Time the calls in turn, round by round.

    Args:
        calls: What to time, by name.
        rounds: Samples of each; as many as :data:`WARM_UP` more are not counted.
        device: 'cpu' or 'cuda'.
        rotate: In the orders of :func:`turns`; otherwise always in the given one.
    """
    names = list(calls)
    samples: dict[str, list[Sample]] = {name: [] for name in names}
    gc.collect()
    gc.disable()  # as timeit does: a collection hits one sample and not the others
    try:
        for number in range(WARM_UP + rounds):
            for name in turns(names, number) if rotate else names:
                sample = take_sample(calls[name], device)
                if number >= WARM_UP:
                    samples[name].append(sample)
    finally:
        gc.enable()
    return samples


def turns(names: Sequence[str], number: int) -> list[str]:
    """Return the order of a round in which no call always follows the same one.

    What a call leaves in the caches, such as results that are still to be written to
    memory, the next one waits for. To begin each round with the next call would not
    do: all but the first would still follow the same. In these orders (Williams, 1949)
    each is first, and each follows each other one, equally often in 2 n rounds.

    Args:
        names: The n calls.
        number: Of the round.
    """
    zigzag = [(k + 1) // 2 if k % 2 else -(k // 2) for k in range(len(names))]
    order = [names[(number + step) % len(names)] for step in zigzag]
    return order[::-1] if number // len(names) % 2 else order


def times(samples: list[Sample]) -> Spread:
    """Median and quartiles of the times."""
    return Spread.of([sample.ms for sample in samples])


def ratios(above: list[Sample], below: list[Sample]) -> Spread:
    """Median and quartiles of the ratios within each round."""
    return Spread.of([a.ms / b.ms for a, b in zip(above, below, strict=True)])


def disturbances(samples: Iterable[Sample]) -> list[str]:
    """Say in two lines what disturbed the samples, and whether it was too much."""
    samples = list(samples)
    waited = sum(sample.faults >= MANY_PAGES for sample in samples)
    seconds = sum(sample.ms for sample in samples) / 1e3
    rate = sum(sample.interruptions for sample in samples) / seconds
    busy = ': the machine was BUSY, do not trust the times' if rate > BUSY else ''
    return [
        f'{waited} of {len(samples)} samples waited for {MANY_PAGES} or more pages of '
        'memory',
        f'other processes interrupted the calls {rate:.0f} times a second{busy}',
    ]


def _time_cpu(call: Call) -> float:
    start = time.perf_counter_ns()
    result = call()
    end = time.perf_counter_ns()
    del result  # freed outside the timed part, whatever it is
    return (end - start) / 1e6


def _time_cuda(call: Call) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(CUDA_CALLS):
        call()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / CUDA_CALLS
