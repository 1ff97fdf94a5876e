"""Spreads, gates, tables and JSON."""

import math

import pytest
import torch


@pytest.mark.parametrize(
    ('value', 'options', 'verdict'),
    [
        (18.0, dict(limit=18, at_least=True), 'PASS'),
        (17.9, dict(limit=18, at_least=True), 'FAIL'),
        (2.0, dict(limit=2), 'PASS'),
        (2.1, dict(limit=2), 'FAIL'),
        (math.nan, dict(limit=2), 'FAIL'),
        (math.nan, dict(limit=2, at_least=True), 'FAIL'),
        (24.0, dict(limit=25, at_least=True, aim=True), 'aim missed'),
        (26.0, dict(limit=25, at_least=True, aim=True), 'aim reached'),
    ],
)
def test_verdicts(part, value, options, verdict):
    assert part('report').Gate('speed', value, **options).verdict == verdict


def test_a_failed_gate_fails_the_check_and_a_missed_aim_does_not(part):
    report = part('report')
    good = report.Section('op', 'Op', gates=[report.Gate('a', 1.0, 2.0)])
    aim = report.Section('op', 'Op', gates=[report.Gate('b', 3.0, 2.0, aim=True)])
    bad = report.Section('op', 'Op', gates=[report.Gate('c', 3.0, 2.0)])
    assert report.is_good([good, aim])
    assert not report.is_good([good, bad])
    assert not report.is_good([aim]), 'nothing was held to a limit'
    assert report.summary([good]) == '1 of 1 gates passed.'
    said = '1 of 2 gates passed.\n\n- FAIL c | 3 | <= 2'  # a list in the page
    assert report.summary([good, bad]) == said


def test_a_table_in_markdown(part):
    report = part('report')
    table = report.Table(
        'Times',
        [report.Column('name', 'who'), report.Column('ms', 'ms', '.1f')],
        [
            dict(name='a', ms=report.Spread(2.0, 1.0, 3.0, 5)),
            dict(name='b', ms=report.Mean(4.0, 0.5)),
            dict(name='c'),
        ],
    )
    assert table.markdown() == (
        'Times:\n\n'
        '| who | ms               |\n'
        '| --- | ---------------- |\n'
        '| a   | 2.0 (1.0 to 3.0) |\n'
        '| b   | 4.0 ± 0.5        |\n'
        '| c   |                  |'
    )


def test_a_section_that_was_not_run_says_why(part):
    section = part('report').Section('cuda', 'GPU', not_run='no CUDA device')
    assert section.markdown() == '### GPU\n\nnot run: no CUDA device'


@pytest.mark.parametrize(
    ('values', 'expected'),
    [([3.0], (3, 3, 3)), ([1, 2, 9], (1.5, 2, 5.5)), ([5, 1, 4, 2, 3], (2, 3, 4))],
)
def test_a_spread_is_the_median_and_the_quartiles(part, values, expected):
    spread = part('report').Spread.of(values)
    assert (spread.low, spread.median, spread.high) == expected
    assert spread.samples == len(values)


def test_json_has_no_nan_and_says_who_passed(part):
    report = part('report')
    gate = report.jsonable(report.Gate('a', math.nan, 2.0))
    assert gate['value'] is None
    assert (gate['passed'], gate['verdict']) == (False, 'FAIL')
    assert report.jsonable(dict(a=(1, torch.float32))) == dict(a=[1, 'torch.float32'])
