"""The command that draws a segmentor's label maps."""

import pytest
from PIL import Image


@pytest.fixture
def draw(load_tool):
    pytest.importorskip('matplotlib')
    return load_tool('draw_segmentation')


def test_from_the_command_line(draw, run_tool, label_map_files, tmp_path):
    out = tmp_path / 'sheet.png'
    options = ['--out', str(out), '--classes', 'a', 'b', 'c']
    run_tool('analysis_tools/draw_segmentation', *map(str, label_map_files), *options)
    assert min(Image.open(out).size) > 200


def test_missing_predictions_are_one_clear_message(refused, label_map_files):
    (label_map_files[1] / 'b.png').unlink()
    told = refused('draw_segmentation', *map(str, label_map_files))
    assert told.endswith('b.png does not exist; see --help\n')
