"""Work on many files in processes, which Ctrl-C ends at once and quietly."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

Job = TypeVar('Job')
Done = TypeVar('Done')


def done_in_order(
    work: Callable[[Job], Done], jobs: Sequence[Job], workers: int, chunk: int
) -> Iterator[Done]:
    """Yield what comes of jobs, in their order.

    Args:
        work: Does one; a function that processes can be sent.
        jobs: What it is given.
        workers: Processes; 0 for this one alone.
        chunk: Jobs that a process is sent together.
    """
    if workers < 1:
        yield from map(work, jobs)
        return
    # A terminal sends Ctrl-C to the workers too; each would print where it was.
    pool = ProcessPoolExecutor(
        workers, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)
    )
    try:
        yield from pool.map(work, jobs, chunksize=chunk)
    finally:
        pool.shutdown(cancel_futures=True)  # all have been sent: do not wait for those
