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


def test_data_that_are_elsewhere_are_named_by_their_keys(refused, tmp_path):
    config = tmp_path / 'config.py'
    config.write_text(
        "default_scope = 'mmdet'\n"
        "test_dataloader = dict(dataset=dict(type='CocoDataset', pipeline=[],\n"
        "    data_root='nowhere', ann_file='a.json', data_prefix=dict(img='b/')))\n"
    )
    told = refused('draw_predictions', str(config), str(tmp_path / 'val.bbox.json'))
    assert "test_dataloader.dataset.ann_file='a.json': no such file" in told
    assert "test_dataloader.dataset.data_prefix.img='b/': no such folder" in told
