"""Says so where another process of the same training has died."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from dropblock_mm.errors import RefusedError

# What the others hear of it: gloo says it in a RuntimeError, NCCL in one of torch's.
_DIED = re.compile(
    r'gloo.*(?:Connection (?:reset|closed) by peer|Broken pipe)|ncclRemoteError',
    re.DOTALL,
)


class LostRankError(RefusedError, RuntimeError):
    """A process that this one trains with has gone."""


@contextmanager
def naming_lost_ranks(work_dir: str) -> Iterator[None]:
    """Point at the process that died, and not at where this one waited for it.

    Args:
        work_dir: The run's folder.

    Raises:
        LostRankError: For what the library of collective calls says of it.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, RefusedError) or not _DIED.search(str(error)):
            raise
        raise LostRankError(
            'training stopped, another process of it has died. What it said stands '
            'above, or in the output of its machine; if it said nothing, the system '
            'may have killed it for want of memory, and the launcher names its rank '
            'and signal below. Then the same command with --resume goes on in '
            f'{work_dir!r}.'
        ) from error
