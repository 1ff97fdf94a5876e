"""What a run logged is read back, also in parts."""

from pathlib import Path

import pytest

from dropblock_mm.runs.training_log import read_training_log
from dropblock_mm.testing.training_logs import made_up_rows, write_log


@pytest.fixture
def work_dir(tmp_path) -> Path:
    write_log(tmp_path, '20200101_000000', made_up_rows())
    return tmp_path


def test_evaluations_are_dated_by_iterations(work_dir):
    log = read_training_log(work_dir)
    assert log.series('coco/bbox_mAP') == ([20, 40, 60], [0.2, 0.4, 0.6])
    assert log.series('keep_prob')[0] == list(range(5, 61, 5))
    assert log.series('unknown') == ([], [])
    assert log.metric() == 'coco/bbox_mAP'


def test_a_resumed_run_is_one_training(tmp_path):
    write_log(tmp_path, '20200101_000000', made_up_rows(last=35))
    write_log(tmp_path, '20200102_000000', [])
    write_log(tmp_path, '20200103_000000', made_up_rows(25, 60))
    log = read_training_log(tmp_path)
    assert log.series('loss')[0] == list(range(5, 61, 5))
    assert log.series('coco/bbox_mAP')[0] == [20, 40, 60]


def test_an_earlier_training_is_left_out(tmp_path):
    earlier = [{**row, 'loss': 99.0} for row in made_up_rows()]
    write_log(tmp_path, '20200101_000000', earlier)
    write_log(tmp_path, '20200102_000000', made_up_rows(last=40))
    log = read_training_log(tmp_path)
    assert log.series('loss')[0] == list(range(5, 41, 5))
    assert max(log.series('loss')[1]) < 99
    assert log.series('coco/bbox_mAP')[1] == [0.2, 0.4]


def test_a_line_cut_short_ends_the_log(work_dir):
    (path,) = work_dir.glob('*/vis_data/scalars.json')
    path.write_text(path.read_text() + '{"loss": 0.')
    log = read_training_log(work_dir)
    assert len(log.train) == 12


def test_no_log_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='work_dir='):
        read_training_log(tmp_path)


def test_no_evaluation_is_named(tmp_path):
    write_log(tmp_path, '20200101_000000', [made_up_rows()[0]])
    log = read_training_log(tmp_path)
    with pytest.raises(ValueError, match='no evaluation'):
        log.metric()


@pytest.mark.parametrize(
    ('logged', 'metric'),
    [
        ({'data_time': 0.1, 'aAcc': 90.0, 'mIoU': 50.0}, 'mIoU'),
        ({'accuracy/top5': 90.0, 'accuracy/top1': 50.0}, 'accuracy/top1'),
        # Of others, the first.
        ({'time': 0.2, 'mine': 0.5, 'other': 0.25}, 'mine'),
        ({'note': 'text', 'mine': 0.5}, 'mine'),
    ],
)
def test_any_metric_will_do(tmp_path, logged, metric):
    rows = [row for row in made_up_rows(last=20) if 'iter' in row]
    write_log(tmp_path, '20200101_000000', [*rows, {**logged, 'step': 1}])
    log = read_training_log(tmp_path)
    assert log.metric() == metric
    assert log.series(metric) == ([20], [logged[metric]])


def test_knows_a_run_that_missed_its_last_evaluation(tmp_path):
    rows = made_up_rows()
    write_log(tmp_path, '20200101_000000', rows)
    assert read_training_log(tmp_path).is_evaluated()
    write_log(tmp_path, '20200102_000000', rows[:-1])
    assert not read_training_log(tmp_path).is_evaluated()


def test_mean_of_the_last_epoch(work_dir):
    log = read_training_log(work_dir)
    # The last of three epochs was logged at iterations 45, 50, 55 and 60.
    assert log.last_epoch_mean('loss') == pytest.approx(
        sum(2 / step for step in (45, 50, 55, 60)) / 4
    )
    with pytest.raises(ValueError, match="no 'unknown'"):
        log.last_epoch_mean('unknown')
