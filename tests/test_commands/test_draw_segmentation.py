"""Sheets of a segmentor's label maps."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def draw(load_tool):
    pytest.importorskip('matplotlib')
    return load_tool('draw_segmentation')


@pytest.fixture
def label_maps(tmp_path) -> tuple[Path, Path]:
    """A VOC folder of three images, and predictions for them, of 6 x 8 pixels."""
    folder, predictions = tmp_path / 'voc', tmp_path / 'val'
    for name in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (folder / name).mkdir(parents=True)
    predictions.mkdir()
    names = folder / 'ImageSets/Segmentation/val.txt'
    names.write_text('a\nb\nc\n')
    for index, name in enumerate('abc'):
        picture = np.full((6, 8, 3), 60 * index, np.uint8)
        Image.fromarray(picture).save(folder / f'JPEGImages/{name}.jpg')
        truth = np.full((6, 8), index, np.uint8)
        truth[0] = 255
        Image.fromarray(truth).save(folder / f'SegmentationClass/{name}.png')
        Image.fromarray(np.full((6, 8), 1, np.uint8)).save(predictions / f'{name}.png')
    return folder, predictions


def test_reads_evenly_spaced_images(draw, label_maps):
    samples = draw.read_samples(*label_maps, image_set='val', num_images=2)
    assert [int(sample.image.max()) for sample in samples] == [0, 120]
    assert [int(sample.truth[1, 0]) for sample in samples] == [0, 2]
    assert all((sample.prediction == 1).all() for sample in samples)


def test_sheet_shows_triples_in_the_classes_colours(draw, label_maps):
    samples = draw.read_samples(*label_maps, image_set='val', num_images=3)
    figure = draw.draw_sheet(samples, ['ground', 'boat', 'car'], 'title')
    assert len(figure.axes) == 9
    assert [panel.get_title() for panel in figure.axes[:3]] == list(draw.HEADINGS)
    maps = [np.asarray(panel.images[0].get_array()) for panel in figure.axes]
    background, boat, car = (maps[index][3, 3] for index in (1, 4, 7))
    assert (background == 0).all()
    assert len({tuple(colour) for colour in (background, boat, car)}) == 3
    assert (maps[5][3, 3] == boat).all()
    assert (maps[4][0] == 1).all(), 'not labelled'
    assert (maps[5][0] == 1).all()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ['ground', 'boat', 'car']
    faces = [patch.get_facecolor()[:3] for patch in legend.get_patches()]
    assert np.allclose(faces, [background, boat, car])


def test_more_classes_than_colours_still_have_one(draw):
    colours = draw.colour_of(np.arange(255, dtype=np.uint8))
    assert colours.shape == (255, 3)
    assert (colours[1:] != 0).any(axis=1).all(), 'black is the background alone'


def test_from_the_command_line(draw, run_tool, label_maps, tmp_path):
    out = tmp_path / 'sheet.png'
    options = ['--out', str(out), '--classes', 'a', 'b', 'c']
    run_tool('analysis_tools/draw_segmentation', *map(str, label_maps), *options)
    assert min(Image.open(out).size) > 200


def test_missing_predictions_are_one_clear_message(draw, label_maps, monkeypatch):
    (label_maps[1] / 'b.png').unlink()
    monkeypatch.setattr(sys, 'argv', ['draw_segmentation.py', *map(str, label_maps)])
    with pytest.raises(SystemExit, match=r'b.png does not exist; see --help'):
        draw.main()
