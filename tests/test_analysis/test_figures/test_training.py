"""The curves of a training, from a small made-up run."""

from pathlib import Path

import pytest

pytest.importorskip('matplotlib')

from dropblock_mm.analysis.figures.training import plot_training
from dropblock_mm.runs.training_log import read_training_log
from dropblock_mm.testing.training_logs import made_up_rows, write_log


@pytest.fixture
def work_dir(tmp_path) -> Path:
    write_log(tmp_path, '20200101_000000', made_up_rows())
    return tmp_path


def test_draws_every_curve(work_dir):
    figure = plot_training(read_training_log(work_dir))
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


def test_a_run_without_drop_block_is_drawn_too(tmp_path):
    rows = [
        {'loss': 1.0, 'epoch': 1, 'iter': 5, 'step': 5},
        {'coco/bbox_mAP': 0.5, 'step': 1},
    ]
    write_log(tmp_path, '20200101_000000', rows)
    figure = plot_training(read_training_log(tmp_path))
    assert [text.get_text() for text in figure.axes[2].texts] == ['no DropBlock']


def test_a_run_that_was_not_evaluated_yet_is_drawn_too(tmp_path):
    write_log(tmp_path, '20200101_000000', made_up_rows(last=15))
    figure = plot_training(read_training_log(tmp_path))
    assert [text.get_text() for text in figure.axes[1].texts] == ['not evaluated yet']


def test_any_metric_can_be_drawn(tmp_path):
    rows = [*made_up_rows(last=15), {'a': 0.5, 'b': -2.0, 'step': 1}]
    write_log(tmp_path, '20200101_000000', rows)
    log = read_training_log(tmp_path)
    panel = plot_training(log, ['b', 'a']).axes[1]
    drawn = [(line.get_label(), *line.get_ydata()) for line in panel.lines]
    assert drawn == [('b', -2.0), ('a', 0.5)]
    bottom, top = panel.get_ylim()
    assert bottom < -2.0 < 0.5 < top
    with pytest.raises(ValueError, match=r"no metric 'c'. It has a, b\."):
        plot_training(log, ['c'])


def test_iterations_are_whole_and_legends_hide_no_line(tmp_path):
    rows = [row for row in made_up_rows(last=60) if 'iter' in row][:3]
    for number, row in enumerate(rows, start=1):
        row.update(iter=number, step=number)
    write_log(tmp_path, '20200101_000000', rows)
    figure = plot_training(read_training_log(tmp_path))
    figure.draw_without_rendering()
    ticks = figure.axes[-1].get_xticks()
    assert all(tick == round(tick) for tick in ticks)
    legends = [panel.get_legend() for panel in figure.axes if panel.get_legend()]
    assert len(legends) == 2
    for legend in legends:
        panel = legend.axes.get_window_extent()
        assert legend.get_window_extent().x0 >= panel.x1 - 1
