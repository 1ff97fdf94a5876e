"""Sheets of a segmentor's label maps."""

import numpy as np
import pytest

pytest.importorskip('matplotlib')

from dropblock_mm.analysis.figures import label_maps as draw


def test_reads_evenly_spaced_images(label_map_files):
    samples = draw.read_samples(*label_map_files, image_set='val', num_images=2)
    assert [int(sample.image.max()) for sample in samples] == [0, 120]
    assert [int(sample.truth[1, 0]) for sample in samples] == [0, 2]
    assert all((sample.prediction == 1).all() for sample in samples)


def test_sheet_shows_triples_in_the_classes_colours(label_map_files):
    samples = draw.read_samples(*label_map_files, image_set='val', num_images=3)
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


def test_the_legend_of_many_long_names_has_room(label_map_files):
    samples = draw.read_samples(*label_map_files, image_set='val', num_images=3)
    names = [f'a class with a long name, number {i}' for i in range(60)]
    figure = draw.draw_sheet(samples, names, 'title')
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width
    assert box.y1 <= min(panel.get_window_extent().y0 for panel in figure.axes)


def test_more_classes_than_colours_still_have_one():
    colours = draw.colour_of(np.arange(255, dtype=np.uint8))
    assert colours.shape == (255, 3)
    assert (colours[1:] != 0).any(axis=1).all(), 'black is the background alone'
