"""Which evaluations a grid asks for, their curves, and going on with them."""

import pytest

from dropblock_mm.analysis.robustness_points import (
    Grid,
    Point,
    as_numbers,
    curves_of,
    known_points,
)
from dropblock_mm.errors import RefusedValueError


def test_where_nothing_is_dropped_one_evaluation_is_enough():
    grid = Grid((1, 7), (0.8, 1.0), (0, 1))
    assert grid.settings() == [
        (1, 1.0, 0),
        (1, 0.8, 0),
        (1, 0.8, 1),
        (7, 0.8, 0),
        (7, 0.8, 1),
    ]
    assert Grid((7,), (0.9,), (0,)).settings() == [(7, 0.9, 0)]


def test_curves_share_the_point_where_nothing_is_dropped():
    grid = Grid((1, 7), (0.8, 1.0), (0, 1))
    values = [0.9, 0.5, 0.7, 0.2, 0.2]
    points = [
        Point('m', *setting, 'acc', value)
        for setting, value in zip(grid.settings(), values, strict=True)
    ]
    one, seven = curves_of(points, grid)
    assert (one.keep_probs, one.counts) == ([0.8, 1.0], [2, 1])
    assert one.means == pytest.approx([0.6, 0.9])
    assert one.spreads == pytest.approx([0.02**0.5, 0])
    assert (seven.means, seven.spreads) == ([0.2, 0.9], [0, 0])


def test_only_evaluations_of_the_same_are_gone_on_with():
    point = Point('m', 1, 0.8, 0, 'acc', 0.5)
    numbers = as_numbers([point], {'models': [1]})
    assert known_points(numbers, {'models': [1]}) == [point]
    assert known_points({}, {'models': [1]}) == []
    with pytest.raises(RefusedValueError, match='models differs'):
        known_points(numbers, {'models': [2]})
