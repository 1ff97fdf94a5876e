"""One table of tolerances for all comparisons with the fp64 oracle."""

from __future__ import annotations

import torch
from torch import Tensor

# The op multiplies once by a rounded scale: two roundings of the dtype.
RELATIVE_TOLERANCE = {
    torch.float64: 1e-12,
    torch.float32: 3e-7,
    torch.float16: 2e-3,
    torch.bfloat16: 1.6e-2,
}


def assert_close(actual: Tensor, expected: Tensor) -> None:
    """Compare with an fp64 oracle, by the tolerance of ``actual``'s dtype.

    Zeros must be exact: a dropped unit is 0, not nearly 0.

    Args:
        actual: Tensor of any floating dtype.
        expected: Tensor of the same shape, in fp64.
    """
    dropped = expected == 0
    assert not actual[dropped].any(), 'a unit that is to be 0 is not'
    # Below its smallest normal number a dtype has even steps: it rounds to half of one.
    steps = torch.finfo(actual.dtype)
    torch.testing.assert_close(
        actual.double(),
        expected,
        rtol=RELATIVE_TOLERANCE[actual.dtype],
        atol=steps.smallest_normal * steps.eps / 2,
    )
