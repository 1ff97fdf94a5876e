"""Sheets of a detector's predictions."""

from dataclasses import replace

import pytest

pytest.importorskip('matplotlib')

from matplotlib.colors import to_rgba

from dropblock_mm.analysis.figures import detections as draw
from dropblock_mm.analysis.figures.evaluated import of_annotations


def test_right_means_class_and_place(detection_files):
    truth = [draw.Box((5, 5, 10, 20), 'three')]
    assert draw.is_right(draw.Box((5, 5, 10, 18), 'three', 0.9), truth)
    assert not draw.is_right(draw.Box((5, 5, 10, 20), 'eight', 0.9), truth)
    assert not draw.is_right(draw.Box((12, 5, 10, 20), 'three', 0.9), truth)
    assert not draw.is_right(draw.Box((5, 5, 10, 20), 'three', 0.9), [])


def test_iou_of_known_boxes():
    iou = draw.iou
    assert iou((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert iou((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(1 / 3)
    assert iou((0, 0, 2, 2), (5, 5, 2, 2)) == 0


def test_sheet_shows_pairs_in_their_colours(detection_files):
    samples = of_annotations(**detection_files, score_thr=0.3).samples(3)
    figure = draw.draw_sheet([*samples, replace(samples[0], truth=[])], 'title')
    assert len(figure.axes) == 6
    colours = [
        [patch.get_edgecolor() for patch in panel.patches] for panel in figure.axes
    ]
    truth, right, wrong = map(to_rgba, (draw.TRUTH, draw.RIGHT, draw.WRONG))
    assert colours == [[truth], [right], [truth], [wrong], [], [wrong]]
    texts = [[text.get_text() for text in panel.texts] for panel in figure.axes]
    assert texts[1] == ['three  0.90']
