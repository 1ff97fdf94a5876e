"""Sheets of images with predicted classes."""

import json

import numpy as np
import pytest
from PIL import Image

from dropblock_mm.analysis.figures.classes import (
    RIGHT,
    WRONG,
    caption,
    draw_sheet,
    read_samples,
)
from dropblock_mm.commands import draw_classes


@pytest.fixture
def predictions(tmp_path):
    """Twelve images; the second prediction is wrong."""
    entries = []
    for i in range(12):
        path = tmp_path / f'{i}.png'
        Image.fromarray(np.full((8, 8, 3), i, np.uint8)).save(path)
        predicted = 1 if i == 1 else 0
        entry = dict(image=str(path), label=0, predicted=predicted, score=0.9)
        entries.append(entry)
    (tmp_path / 'val.json').write_text(json.dumps(entries))
    return tmp_path / 'val.json'


def test_images_are_read_with_their_predictions(predictions):
    samples = read_samples(predictions, num_images=3)
    assert [int(sample.image[0, 0, 0]) for sample in samples] == [0, 6, 11]
    assert len(read_samples(predictions, num_images=99)) == 12


def test_right_and_wrong(predictions):
    samples = read_samples(predictions, num_images=12)
    assert caption(samples[0], ('cat', 'dog')) == 'cat 0.90'
    assert caption(samples[1], ('cat', 'dog')) == 'dog 0.90, not cat'
    assert caption(samples[1], ()) == '1 0.90, not 0'
    figure = draw_sheet(samples, (), 'title')
    panels = [panel for panel in figure.axes if panel.images]
    assert len(panels) == 12
    colours = [panel.title.get_color() for panel in panels]
    assert colours == [RIGHT, WRONG, *[RIGHT] * 10]


def test_the_command(predictions, capsys):
    out = predictions.with_name('sheet.png')
    draw_classes.main([str(predictions), '--out', str(out)])
    assert capsys.readouterr().out == f'wrote {out}\n'
    assert Image.open(out).size[0] > 1000
    with pytest.raises(SystemExit, match=r'^2$'):
        draw_classes.main([str(predictions.with_name('no.json'))])
    assert 'does not exist' in capsys.readouterr().err
