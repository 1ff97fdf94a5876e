"""How far a run has come."""

import dataclasses
import json
import math

import pytest

from dropblock_mm.testing.training_logs import write_log


@pytest.fixture
def state(part, table):
    """A function that tells a run's state, by the name of the constant."""
    metrics = table('table3').metrics
    return lambda run: part('state').inspect_run(run, metrics).state.name


def test_from_nothing_to_the_end(state, toy_run, part, table, save, log_evaluation):
    run = toy_run()
    assert state(run) == 'NEW'
    log_evaluation(run, 1)
    assert state(run) == 'NEW'
    save(run, 1)
    assert state(run) == 'INTERRUPTED'
    save(run, 2)
    assert state(run) == 'TRAINED', 'the evaluation is of the first epoch'
    log_evaluation(run, 2, started='20200101_000001')
    assert state(run) == 'FINISHED'
    progress = part('state').inspect_run(run, table('table3').metrics)
    assert progress.metrics == pytest.approx(dict(AP=10, AP50=30, AP75=20))


def test_the_best_of_a_training_counts_where_the_row_says_so(
    part, table, toy_run, save
):
    """Table 1: the highest accuracy over training, by top-1, over interruptions too."""
    table1, run = table('table1'), toy_run()
    run = dataclasses.replace(run, row=table1.row('dropblock'))
    save(run, 2)
    for epoch, (top1, top5), day in ((1, (70.0, 90.0), '1'), (2, (60.0, 95.0), '2')):
        row = {'accuracy/top1': top1, 'accuracy/top5': top5, 'step': epoch}
        write_log(run.work_dir, f'2020010{day}_000000', [row])
    progress = part('state').inspect_run(run, table1.metrics)
    assert progress.metrics == {'top-1': 70.0, 'top-5': 90.0}
    last = dataclasses.replace(run, row=dataclasses.replace(run.row, best=''))
    progress = part('state').inspect_run(last, table1.metrics)
    assert progress.metrics == {'top-1': 60.0, 'top-5': 95.0}


@pytest.mark.parametrize('kept', [0, 10, 0.5, -1])
def test_a_truncated_checkpoint_is_none(state, toy_run, kept, save, log_evaluation):
    run = toy_run()
    content = save(run, 2).read_bytes()
    log_evaluation(run, 2)
    assert state(run) == 'FINISHED'
    size = kept if isinstance(kept, int) else int(len(content) * kept)
    (run.work_dir / 'epoch_2.pth').write_bytes(content[:size])
    assert state(run) == 'INTERRUPTED'


def test_changed_bytes_are_seen(state, toy_run, save, log_evaluation):
    run = toy_run()
    path = save(run, 2)
    log_evaluation(run, 2)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2  # in the weights
    content[middle] ^= 255
    path.write_bytes(content)
    assert state(run) == 'INTERRUPTED'


def test_a_checkpoint_that_is_gone_is_not_final(state, toy_run, save, log_evaluation):
    run = toy_run()
    log_evaluation(run, 2)
    save(run, 2).unlink()
    assert state(run) == 'INTERRUPTED'


def test_a_later_evaluation_counts(state, toy_run, save):
    run = toy_run()
    save(run, 2)
    folder = run.work_dir / 'evaluation' / '20200101_000000'
    folder.mkdir(parents=True)
    (folder / 'a.json').write_text('{"coco/bbox_mAP": 0.5')
    assert state(run) == 'TRAINED', 'cut short'
    metrics = {f'coco/bbox_mAP{end}': 0.5 for end in ('', '_50', '_75')}
    (folder / 'b.json').write_text(json.dumps(metrics))
    assert state(run) == 'FINISHED'


def test_an_evaluation_without_the_metric_does_not_count(state, toy_run, save):
    run = toy_run()
    save(run, 2)
    write_log(run.work_dir, '20200101_000000', [{'time': 1.0, 'step': 2}])
    assert state(run) == 'TRAINED'


def test_the_time_of_an_iteration_is_the_median(part, table, toy_run, finish):
    run = toy_run()
    finish(run)
    times = enumerate((9.0, 0.2, 0.3, 0.2), 1)
    rows = [dict(iter=i, step=i, epoch=1, time=t) for i, t in times]
    write_log(run.work_dir, '20200101_000009', rows)
    progress = part('state').inspect_run(run, table('table3').metrics)
    assert progress.seconds == 0.25
    assert progress.keep_rate is None


@pytest.mark.parametrize(
    ('losses', 'diverged'),
    [
        ((2.0, 1.0, 0.5), None),
        ((2.0, math.nan, 0.5), None),
        ((2.0, math.nan, math.inf), 2),
    ],
)
def test_a_loss_that_is_no_number_at_the_end_is_a_problem(
    part, table, toy_run, finish, losses, diverged
):
    run = toy_run()
    finish(run)
    rows = [dict(iter=i, step=i, epoch=1, loss=x) for i, x in enumerate(losses, 1)]
    write_log(run.work_dir, '20200101_000009', rows)
    progress = part('state').inspect_run(run, table('table3').metrics)
    assert progress.state.name == 'FINISHED'
    assert progress.diverged == diverged
    assert progress.problem == (
        'the loss is not finite from iteration 2 on' if diverged else ''
    )
