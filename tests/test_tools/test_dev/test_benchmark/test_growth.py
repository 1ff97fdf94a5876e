"""How the cost grows."""

import pytest


@pytest.mark.parametrize('power', [0.5, 1.0, 2.0])
def test_exponent_of_a_known_growth(part, power):
    sizes = [10, 20, 40, 80]
    values = [3.0 * size**power for size in sizes]
    assert part('growth').exponent(sizes, values) == pytest.approx(power)
