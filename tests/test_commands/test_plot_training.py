"""The command that plots a training."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dropblock_mm.testing.training_logs import made_up_rows, write_log


@pytest.fixture
def work_dir(tmp_path) -> Path:
    write_log(tmp_path, '20200101_000000', made_up_rows())
    return tmp_path


@pytest.fixture
def plot(load_tool):
    pytest.importorskip('matplotlib')
    return load_tool('plot_training')


def test_from_the_command_line(plot, run_tool, work_dir):
    run_tool('analysis_tools/plot_training', str(work_dir))
    picture = Image.open(work_dir / 'training.png')
    assert min(picture.size) > 600
    assert len(np.unique(np.asarray(picture.convert('L')))) > 20


def test_a_wrong_folder_is_one_clear_message(refused, tmp_path):
    assert refused('plot_training', str(tmp_path)).startswith('work_dir=')


def test_it_is_written_into_a_new_folder(plot, work_dir, tmp_path):
    plot.main([str(work_dir), '--out', str(tmp_path / 'new/a.svg')])
    assert (tmp_path / 'new/a.svg').stat().st_size > 1000
