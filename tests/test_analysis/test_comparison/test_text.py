"""What is said of a comparison is what the intervals say."""

import json
from dataclasses import replace

import pytest

from dropblock_mm.analysis.comparison import text
from dropblock_mm.analysis.comparison.arms import compare
from dropblock_mm.analysis.figures.comparison import draw_comparison

FACTS = dict(command='the command', environment={'PyTorch': '2'})


@pytest.fixture
def told(result):
    """A function that compares differences, seed by seed, and words the verdict."""

    def tell(*differences):
        results = [result('none', seed, 50.0) for seed in range(len(differences))]
        results += [
            result('x', seed, 50.0 + value) for seed, value in enumerate(differences)
        ]
        found = compare(results or [result('none', 0), result('x', 0)])
        return text.verdict(found.arms[1], found.metric)

    return tell


def test_a_verdict_claims_no_more_than_the_interval(told):
    assert told(1.0, 1.2, 0.9, 1.1) == (
        'x is higher than none in mIoU, by 1.05 in the mean of 4 seeds (95 % interval '
        '+0.84 to +1.26, paired t).'
    )
    assert told(-1.0, -1.2, -0.9, -1.1).startswith('x is lower than none in mIoU')
    undecided = told(1.0, -0.5, 0.7, 0.2)
    assert undecided.startswith('Undecided: x minus none is +0.35 in mIoU over 4 seeds')
    assert 'it takes about 30 seeds for a chance of 80 % to decide it' in undecided


@pytest.mark.parametrize(
    ('differences', 'expected'),
    [
        ((), 'no seed has been trained with it and without'),
        ((2.0,), 'Undecided: x minus none is +2.00 in mIoU, but one pair has no'),
        ((2.0, 2.0), 'that are all equal have no interval'),
        ((1.0, -1.0), 'Even 1,000 seeds would hardly decide it'),
        ((0.1, 2.0, 2.2), 'The bootstrap'),
    ],
)
def test_what_cannot_be_said_is_not_said(told, differences, expected):
    said = told(*differences)
    if expected == 'The bootstrap':
        assert 'Undecided' in said
        assert 'higher' not in said
    else:
        assert expected in said


@pytest.fixture
def several(result):
    """Two arms, one of whose runs has seen other images, and one not finished."""
    other = dict(images=9, pixels=9, iterations=8, resumed=False)
    return [
        result('none', 0, 50.0, gap=10.0),
        result('none', 1, 52.0, gap=12.0),
        result('x', 0, 51.0, gap=4.0),
        result('x', 1, 54.5, gap=5.0),
        result('y', 0, 40.0, seen=other),
        result('y', 1),
    ]


def test_everything_is_in_the_page(several):
    found = compare(several)
    page = text.as_markdown(found, several, FACTS, 'a config, compared')
    assert '| none | 51.00      | 1.41 |            |' in page
    assert 'Left out of y, seed 0: trained on other images' in page
    assert '2 arms were compared' in page
    assert '| y, seed 1    | not started |' in page
    said = text.as_text(found, several)
    assert 'Not finished: y, seed 1 (not started).' in said
    content = json.loads(json.dumps(text.as_json(found, several, FACTS)))
    assert content['arms'][1]['difference']['values'] == {'0': 1.0, '1': 2.5}
    assert content['arms'][1]['difference']['outcome'] == 'undecided'
    assert content['runs'][0]['images_seen']['iterations'] == 8


def test_a_run_that_failed_is_not_told_as_one_that_was_not_started(result):
    attempts = [{'started': 'then', 'status': 2}]
    arms = 'none', 'x', 'y'
    failed = [replace(result(arm, 0), attempts=attempts) for arm in arms]
    found = compare(failed)
    said = text.as_text(found, failed)
    assert 'Not finished: none, seed 0 (failed with status 2); x, seed 0' in said
    assert 'arms were compared' not in said, 'there is no interval yet'
    page = text.as_markdown(found, failed, FACTS, 'a config, compared')
    assert '| none, seed 0 | failed with status 2 |' in page


def test_the_figure_has_what_the_table_has(several):
    figure = draw_comparison(compare(several))
    values, differences, gaps = figure.axes
    assert [label.get_text() for label in values.get_yticklabels()] == [
        'none',
        'x',
        'y',
    ]
    assert 'Difference to none' in differences.get_title()
    assert [bar.get_width() for bar in gaps.patches] == [11.0, 4.5, 0.0]


def test_long_names_push_no_panel_over_the_edge(result):
    arms = 'none', 'a_fragment_with_a_name_of_forty_letters__'
    rows = [result(arm, seed, 1.0 + seed) for arm in arms for seed in range(2)]
    figure = draw_comparison(compare(rows))
    figure.draw_without_rendering()
    for panel in figure.axes:
        inside = panel.get_tightbbox()
        assert 0 <= inside.x0 < inside.x1 <= figure.bbox.x1


def test_a_figure_without_gaps_says_so(result):
    figure = draw_comparison(compare([result('none', 0, 1.0), result('x', 0, 2.0)]))
    assert [t.get_text() for t in figure.axes[2].texts] == ['not measured']


def test_a_run_that_diverged_counts_for_nothing_and_is_told(result):
    bad = result('x', 1, 0.0)
    bad = replace(bad, progress=replace(bad.progress, diverged=13))
    results = [result('none', 0, 40.0), result('none', 1, 41.0), result('x', 0, 40.5)]
    found = compare([*results, bad])
    assert found.others[0].outcomes.keys() == {0}
    said = text.as_text(found, [*results, bad])
    told = 'x, seed 1 (finished, the loss is not finite from iteration 13 on)'
    assert f'Left out: {told}.' in said
    assert 'Not finished' not in said
