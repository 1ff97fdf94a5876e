"""The command that draws a detector's predictions."""

import pytest
from PIL import Image


@pytest.fixture
def draw(load_tool):
    pytest.importorskip('matplotlib')
    return load_tool('draw_predictions')


def test_from_the_command_line(draw, run_tool, detection_files, tmp_path):
    out = tmp_path / 'sheet.png'
    files = map(str, detection_files.values())
    run_tool('analysis_tools/draw_predictions', *files, '--out', str(out))
    assert min(Image.open(out).size) > 200


def test_missing_results_are_one_clear_message(refused, detection_files, tmp_path):
    (tmp_path / 'results.json').unlink()
    told = refused('draw_predictions', *map(str, detection_files.values()))
    assert told.endswith('results.json does not exist; see --help\n')
