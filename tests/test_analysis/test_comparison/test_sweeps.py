"""Tables and curves of grids."""

import json
from dataclasses import replace

import pytest

from dropblock_mm.analysis.comparison.sweeps import as_json, as_text, gather
from dropblock_mm.analysis.figures.sweep import draw_sweep
from dropblock_mm.hooks.grid import NONE, figure, grid

FACTS = dict(command='the command', environment={})
POINTS = grid(('dropblock',), ('c5',), (0.8, 0.9, 1.0), (1, 7), ('both',), (True,))


@pytest.fixture
def sweep(result):
    """A function that gathers runs of two seeds: 10 times keep_prob, and the seed."""

    def make(points=POINTS, missing=()):
        results = [
            result(p.name, seed, 10 * p.keep_prob + seed)
            for p in points
            for seed in (0, 1)
            if (p, seed) not in missing
        ]
        return gather(results, points, None), results

    return make


def test_every_point_has_a_line(sweep):
    found, results = sweep()
    lines = as_text(found).splitlines()
    assert len(lines) >= 2 + len(POINTS)
    assert '| none      |        | 1         |       |' in as_text(found)
    assert '-2.00' in lines[2], 'the difference to none of the same seed'
    assert 'the best of many looks better' in as_text(found)
    content = json.loads(json.dumps(as_json(found, results, FACTS)))
    assert content['points'][0]['difference']['mean'] == pytest.approx(-2.0)
    assert content['points'][0]['values'] == {'0': 8.0, '1': 9.0}


def test_without_the_plain_model_there_are_no_differences(sweep):
    found, _ = sweep([point for point in POINTS if point != NONE])
    assert not found.compared
    assert 'difference' not in as_text(found)


def test_failures_are_kept_apart(sweep, result):
    found, results = sweep(missing={(POINTS[0], 1)})
    failed = replace(result(POINTS[0].name, 1), attempts=[{'status': 3}])
    found = gather([*results, failed], POINTS, None)
    assert 'seed 1 | status 3' in as_text(found)
    assert found.arm(POINTS[0]).outcomes.keys() == {0}
    interrupted = replace(failed, attempts=[{}])
    assert not gather([*results, interrupted], POINTS, None).failed


def test_a_point_that_diverged_is_a_failure(sweep, result):
    found, results = sweep(missing={(POINTS[0], 1)})
    bad = result(POINTS[0].name, 1, 0.0)
    bad = replace(bad, progress=replace(bad.progress, diverged=13))
    found = gather([*results, bad], POINTS, None)
    assert 'seed 1 | the loss is not finite from iteration 13 on' in as_text(found)
    assert found.arm(POINTS[0]).outcomes.keys() == {0}


def test_the_note_counts_what_was_compared(sweep):
    assert f'{len(POINTS) - 1} points were compared' in as_text(sweep()[0])
    others = [point for point in POINTS if point != NONE]
    missing = {(point, seed) for point in others[2:] for seed in (0, 1)}
    assert '2 points were compared' in as_text(sweep(missing=missing)[0])


def test_blocks_have_whole_sizes(sweep):
    panel = draw_sweep(sweep()[0])['block_size'].axes[0]
    missing = {(p, seed) for p in POINTS if p.block_size == 1 for seed in (0, 1)}
    lone = draw_sweep(sweep(missing=missing)[0])['block_size'].axes[0]
    for axes in (panel, lone):
        assert all(float(tick).is_integer() for tick in axes.get_xticks())


def test_curves_over_keep_prob_end_at_the_plain_model(sweep):
    panel = draw_sweep(sweep()[0])['keep_prob'].axes[0]
    curves = [container.lines[0] for container in panel.containers]
    assert [list(curve.get_xdata()) for curve in curves] == [[0.8, 0.9, 1.0]] * 2
    assert list(curves[0].get_ydata()) == pytest.approx([8.5, 9.5, 10.5])
    labels = [text.get_text() for text in panel.get_legend().get_texts()]
    assert labels == ['dropblock, block 1', 'dropblock, block 7']


def test_figure_4_has_the_panels_of_the_paper(sweep):
    figures = draw_sweep(sweep(figure('4'))[0])
    panels = figures['block_size'].axes
    assert [panel.get_title() for panel in panels] == [
        f'{groups}: {place}'
        for groups in ('c5', 'c4c5')
        for place in (
            'convolutions, no schedule',
            'with shortcuts, no schedule',
            'with shortcuts, schedule',
        )
    ]
    assert list(panels[0].containers[0].lines[0].get_xdata()) == [1, 3, 5, 7]
    assert list(panels[5].containers[0].lines[0].get_xdata())[-1] == 14
    assert 'keep_prob' in figures, 'none and 0.9 are two rates'


def test_points_without_an_outcome_are_left_out_of_curves(sweep):
    missing = {(POINTS[0], 0), (POINTS[0], 1)}
    panel = draw_sweep(sweep(missing=missing)[0])['keep_prob'].axes[0]
    assert list(panel.containers[0].lines[0].get_xdata()) == [0.9, 1.0]


def test_nothing_finished_is_a_table_all_the_same(result):
    results = [result(point.name, 0) for point in POINTS]
    assert as_text(gather(results, POINTS, None)).count('none finished') == len(POINTS)
