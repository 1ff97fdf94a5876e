import pytest
import torch

from dropblock_mm.ops.calibration import solve_gamma_on_device
from dropblock_mm.ops.rates import solve_gamma


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
@pytest.mark.parametrize(
    'feature_size', [(1, 1), (7, 7), (12, 50), (40, 40), (65, 65), (50,), (9, 12, 10)]
)
@pytest.mark.parametrize('block_size', [1, 3, 7, 16, 33])
def test_equals_the_bisection(block_size, feature_size, dtype):
    for keep_rate in (1.0, 0.9999999, 0.999, 0.9, 0.5, 0.2, 0.05, 1e-3, 1e-6, 0.0):
        rate = torch.tensor(keep_rate, dtype=dtype)
        gamma = solve_gamma_on_device(rate, block_size, feature_size)
        expected = solve_gamma(rate.item(), block_size, feature_size)
        assert gamma.dtype == dtype
        assert gamma.item() == pytest.approx(
            expected, rel=1e-9 if dtype == torch.float64 else 1e-6, abs=1e-15
        )
