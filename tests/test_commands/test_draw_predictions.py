"""Sheets of a detector's predictions."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def draw(load_tool):
    pytest.importorskip('matplotlib')
    return load_tool('draw_predictions')


@pytest.fixture
def detections(tmp_path) -> dict[str, Path]:
    """Three images; one object each in the first two, and predictions for these."""
    for index in range(3):
        picture = np.full((40, 50, 3), 60 * index, np.uint8)
        Image.fromarray(picture).save(tmp_path / f'{index}.png')
    coco = {
        'images': [{'id': index, 'file_name': f'{index}.png'} for index in range(3)],
        'categories': [{'id': 4, 'name': 'three'}, {'id': 9, 'name': 'eight'}],
        'annotations': [
            {'image_id': 0, 'category_id': 4, 'bbox': [5, 5, 10, 20]},
            {'image_id': 1, 'category_id': 9, 'bbox': [20, 10, 10, 20]},
        ],
    }
    results = [
        {'image_id': 0, 'category_id': 4, 'bbox': [5, 5, 10, 18], 'score': 0.9},
        {'image_id': 0, 'category_id': 9, 'bbox': [5, 5, 10, 18], 'score': 0.1},
        {'image_id': 1, 'category_id': 4, 'bbox': [20, 10, 10, 20], 'score': 0.8},
    ]
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    (tmp_path / 'results.json').write_text(json.dumps(results))
    return {
        'ann_file': tmp_path / 'coco.json',
        'image_dir': tmp_path,
        'results_file': tmp_path / 'results.json',
    }


def test_reads_truth_and_predictions(draw, detections):
    samples = draw.read_samples(**detections, num_images=5, score_thr=0.3)
    assert [len(sample.truth) for sample in samples] == [1, 1, 0]
    assert [len(sample.predictions) for sample in samples] == [1, 1, 0]
    assert samples[0].predictions[0].label == 'three'
    assert samples[0].image.shape == (40, 50, 3)


def test_images_are_evenly_spaced(draw, detections):
    samples = draw.read_samples(**detections, num_images=2, score_thr=0.3)
    assert [int(sample.image.max()) for sample in samples] == [0, 120]


def test_right_means_class_and_place(draw, detections):
    truth = [draw.Box((5, 5, 10, 20), 'three')]
    assert draw.is_right(draw.Box((5, 5, 10, 18), 'three', 0.9), truth)
    assert not draw.is_right(draw.Box((5, 5, 10, 20), 'eight', 0.9), truth)
    assert not draw.is_right(draw.Box((12, 5, 10, 20), 'three', 0.9), truth)
    assert not draw.is_right(draw.Box((5, 5, 10, 20), 'three', 0.9), [])


def test_iou_of_known_boxes(draw):
    iou = draw.iou
    assert iou((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert iou((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(1 / 3)
    assert iou((0, 0, 2, 2), (5, 5, 2, 2)) == 0


def test_sheet_shows_pairs_in_their_colours(draw, detections):
    samples = draw.read_samples(**detections, num_images=3, score_thr=0.3)
    figure = draw.draw_sheet(samples, 'title')
    assert len(figure.axes) == 6
    colours = [
        [patch.get_edgecolor() for patch in panel.patches] for panel in figure.axes
    ]
    from matplotlib.colors import to_rgba

    truth, right, wrong = map(to_rgba, (draw.TRUTH, draw.RIGHT, draw.WRONG))
    assert colours == [[truth], [right], [truth], [wrong], [], []]
    texts = [[text.get_text() for text in panel.texts] for panel in figure.axes]
    assert texts[1] == ['three  0.90']


def test_from_the_command_line(draw, run_tool, detections, tmp_path):
    out = tmp_path / 'sheet.png'
    files = map(str, detections.values())
    run_tool('analysis_tools/draw_predictions', *files, '--out', str(out))
    assert min(Image.open(out).size) > 200


def test_missing_results_are_one_clear_message(draw, detections, tmp_path, monkeypatch):
    (tmp_path / 'results.json').unlink()
    argv = ['draw_predictions.py', *map(str, detections.values())]
    monkeypatch.setattr(sys, 'argv', argv)
    with pytest.raises(SystemExit, match=r'results.json does not exist; see --help'):
        draw.main()
