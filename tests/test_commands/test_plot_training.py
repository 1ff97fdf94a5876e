"""The curves of a training, from a small made-up run."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dropblock_mm.runs.training_log import read_training_log
from dropblock_mm.testing.training_logs import made_up_rows, write_log


@pytest.fixture
def work_dir(tmp_path) -> Path:
    write_log(tmp_path, '20200101_000000', made_up_rows())
    return tmp_path


@pytest.fixture
def plot(load_tool):
    pytest.importorskip('matplotlib')
    return load_tool('plot_training')


def test_draws_every_curve(plot, work_dir):
    figure = plot.plot_training(read_training_log(work_dir))
    loss, accuracy, keep = figure.axes
    labels = [line.get_label() for line in loss.lines + keep.lines]
    assert labels == [
        'loss_bbox',
        'loss_cls',
        'loss (total)',
        'keep_prob (scheduled)',
        'target_keep_rate, backbone.layer4',
        'effective_keep_rate (all targets)',
    ]
    (curve,) = accuracy.lines
    assert list(curve.get_xdata()) == [20, 40, 60]
    assert list(curve.get_ydata()) == [0.2, 0.4, 0.6]
    assert keep.get_xlabel() == 'iteration'
    assert all(panel.get_ylabel() for panel in figure.axes)


def test_a_run_without_drop_block_is_drawn_too(plot, tmp_path):
    rows = [
        {'loss': 1.0, 'epoch': 1, 'iter': 5, 'step': 5},
        {'coco/bbox_mAP': 0.5, 'step': 1},
    ]
    write_log(tmp_path, '20200101_000000', rows)
    figure = plot.plot_training(read_training_log(tmp_path))
    assert [text.get_text() for text in figure.axes[2].texts] == ['no DropBlock']


def test_from_the_command_line(plot, run_tool, work_dir):
    run_tool('analysis_tools/plot_training', str(work_dir))
    picture = Image.open(work_dir / 'training.png')
    assert min(picture.size) > 600
    assert len(np.unique(np.asarray(picture.convert('L')))) > 20


def test_a_wrong_folder_is_one_clear_message(plot, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['plot_training.py', str(tmp_path)])
    with pytest.raises(SystemExit, match=r'^plot_training: work_dir='):
        plot.main()
