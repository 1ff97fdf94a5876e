import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropblock_mm.layers.schedules import (
    SCHEDULES,
    Interval,
    KeepProbCurve,
    check_interval,
    keep_prob_at,
    resolve_interval,
)


def values(schedule, max_iters=101, start=1.0, end=0.9, num_steps=4, **interval):
    where = resolve_interval(
        interval.get('begin', 0),
        interval.get('end'),
        interval.get('unit', 'fraction'),
        max_iters,
        iters_per_epoch=10,
    )
    return [
        keep_prob_at(
            i, where, start=start, end=end, schedule=schedule, num_steps=num_steps
        )
        for i in range(max_iters)
    ]


def test_linear_is_the_papers():
    line = values('linear')
    assert line == pytest.approx([1 - 0.1 * i / 100 for i in range(101)])
    assert (line[0], line[-1]) == (1.0, 0.9)


def test_cosine():
    curve = values('cosine')
    expected = [1 - 0.1 * (1 - math.cos(math.pi * i / 100)) / 2 for i in range(101)]
    assert curve == pytest.approx(expected)


def test_constant_begins_at_begin():
    assert set(values('constant')) == {0.9}
    assert values('constant', begin=0.5, max_iters=10) == [1.0] * 5 + [0.9] * 5


def test_step_has_equal_plateaus():
    stairs = values('step', max_iters=101, num_steps=4)
    assert sorted(set(stairs), reverse=True) == pytest.approx(
        [1.0, 0.975, 0.95, 0.925, 0.9]
    )
    assert [stairs.count(v) for v in sorted(set(stairs), reverse=True)] == [
        20,
        20,
        20,
        20,
        21,
    ]


@given(
    st.sampled_from(sorted(SCHEDULES)),
    st.integers(1, 300),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(0, 0.9),
    st.integers(1, 9),
)
def test_every_schedule_goes_from_start_to_end(
    schedule, max_iters, start, end, begin, num_steps
):
    path = values(
        schedule, max_iters, start=start, end=end, begin=begin, num_steps=num_steps
    )
    assert path[-1] == end
    if schedule != 'constant' and max_iters > 20:
        assert path[0] == pytest.approx(start)
    low, high = min(start, end), max(start, end)
    assert all(low - 1e-12 <= value <= high + 1e-12 for value in path)
    steps = [b - a for a, b in itertools.pairwise(path)]
    assert all(step * (end - start) >= -1e-12 for step in steps)  # monotonic


@pytest.mark.parametrize(
    ('begin', 'end', 'unit', 'expected'),
    [
        (0, None, 'fraction', Interval(0, 99)),
        (0, 1.0, 'fraction', Interval(0, 99)),
        (0.25, 0.5, 'fraction', Interval(25, 50)),
        (20, 80, 'iter', Interval(20, 80)),
        (20, 100, 'iter', Interval(20, 99)),
        (2, 7.5, 'epoch', Interval(20, 75)),
        (2, 10, 'epoch', Interval(20, 99)),
    ],
)
def test_units(begin, end, unit, expected):
    assert resolve_interval(begin, end, unit, 100, iters_per_epoch=10) == expected


def test_a_run_of_one_iteration_trains_with_the_target():
    assert values('linear', max_iters=1) == [0.9]


@pytest.mark.parametrize(
    ('begin', 'end', 'unit', 'text'),
    [
        (0, 101, 'iter', r"end=101 \(unit='iter'\).*100 iterations"),
        (0, 11, 'epoch', r"end=11 \(unit='epoch'\).*100 iterations \(10 epochs\)"),
        (200, None, 'iter', r'begin=200'),
    ],
)
def test_beyond_training_is_an_error(begin, end, unit, text):
    with pytest.raises(ValueError, match=text):
        resolve_interval(begin, end, unit, 100, iters_per_epoch=10)


@pytest.mark.parametrize(
    ('begin', 'end', 'unit', 'error', 'text'),
    [
        (10, 5, 'iter', ValueError, 'end=5 is not after begin=10'),
        (5, 5, 'iter', ValueError, 'end=5 is not after begin=5'),
        (-1, None, 'iter', ValueError, 'begin=-1'),
        (0, math.inf, 'iter', ValueError, 'end=inf'),
        (math.nan, None, 'iter', ValueError, 'begin=nan'),
        (0, 1.5, 'fraction', ValueError, r'end=1\.5 is beyond training'),
        (0, '5', 'iter', TypeError, "end='5'"),
        (0, True, 'iter', TypeError, 'end=True'),
        (None, 1, 'iter', TypeError, 'begin=None'),
        (0, 1, 'epochs', ValueError, "unit='epochs'"),
    ],
)
def test_bad_intervals_are_named(begin, end, unit, error, text):
    with pytest.raises(error, match=text):
        check_interval(begin, end, unit)


def test_a_curve_has_no_values_before_the_length_of_training_is_known():
    curve = KeepProbCurve(0.9, 'linear', 1.0, 0, 100, 'iter', 4)
    with pytest.raises(RuntimeError, match=r'keep_prob_at\(0\).*none has begun'):
        curve.keep_prob_at(0)
    curve.begin_training(max_iters=200)
    assert [curve.keep_prob_at(i) for i in (0, 50, 100)] == [1.0, 0.95, 0.9]
