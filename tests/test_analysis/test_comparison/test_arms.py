"""Pairs of runs: which can be compared, and with what."""

import pytest

from dropblock_mm.analysis.comparison.arms import choose_metric, comparable, compare
from dropblock_mm.errors import RefusedValueError

SEEN = dict(images=1, pixels=2, iterations=8, resumed=False)


def test_differences_are_of_the_same_seed(result):
    found = compare(
        [
            result('none', 0, 10.0, gap=5.0),
            result('none', 1, 20.0, gap=7.0),
            result('x', 1, 21.0, gap=3.0),
            result('x', 0, 10.5),
            result('x', 2, 99.0),
        ]
    )
    plain, x = found.arms
    assert (found.metric, plain.name, x.name) == ('mIoU', 'none', 'x')
    assert plain.difference is None
    assert plain.mean() == 15.0
    assert plain.gap() == 6.0
    assert x.difference.values == {0: 0.5, 1: 1.0}
    assert x.gap() == 3.0


def test_nothing_evaluated_is_no_metric(result):
    found = compare([result('none', 0), result('x', 0)])
    assert found.metric == ''
    assert [arm.outcomes for arm in found.arms] == [{}, {}]


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (dict(images=5), 'trained on other images, or in another order'),
        (dict(iterations=5), 'trained for another number of iterations'),
        (dict(pixels=5), 'trained on images with other content'),
    ],
)
def test_runs_of_other_data_are_left_out(result, change, told):
    found = compare(
        [
            result('none', 0, 10.0),
            result('none', 1, 20.0),
            result('x', 0, 11.0),
            result('x', 1, 22.0, seen={**SEEN, **change}),
        ]
    )
    assert found.arms[1].left_out == {1: told}
    assert found.arms[1].difference.values == {0: 1.0}


def test_other_pixels_after_a_resumption_are_told_and_compared():
    resumed = {**SEEN, 'pixels': 5, 'resumed': True}
    problem, note = comparable(resumed, SEEN)
    assert not problem
    assert 'cut otherwise after an interruption' in note
    assert comparable(SEEN, SEEN) == ('', '')
    assert comparable({}, SEEN)[1] == 'which images were seen is not on record'


def test_the_usual_metric_is_chosen():
    assert choose_metric(['aAcc', 'mIoU', 'mAcc'], None) == 'mIoU'
    assert choose_metric(['mine', 'other'], None) == 'mine'
    assert choose_metric(['aAcc', 'mIoU'], 'aAcc') == 'aAcc'


def test_a_metric_that_is_not_there_is_refused_with_what_is_near():
    with pytest.raises(RefusedValueError) as error:
        choose_metric(['coco/bbox_mAP', 'coco/bbox_mAP_50'], 'bbox_map')
    assert "--metric 'bbox_map'" in str(error.value)
    assert "Did you mean 'coco/bbox_mAP'" in str(error.value)
    assert 'Nothing is lost' in str(error.value)
