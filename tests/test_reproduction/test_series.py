"""One run after the other."""

import json
import math
import re

import pytest


def test_a_failing_row_holds_up_no_other(series, tmp_path, capsys, finish):
    def behave(run, state):
        if run.row.name == 'scratch':
            return 'print("the reason"); raise SystemExit(7)'
        return finish(run)

    failed = series(behave).run()
    assert failed == [
        f'scratch, seed 0: failed with status 7; see {tmp_path}/scratch_seed0/'
        'output.log'
    ]
    said = capsys.readouterr().out
    assert 'the reason' in said
    assert '1 of 2 runs failed' in said
    content = json.loads((tmp_path / 'table3.json').read_text())
    states = [run['state'] for run in content['runs']]
    assert states == ['not started', 'finished']
    text = (tmp_path / 'table3.md').read_text()
    assert 'Not finished: scratch, seed 0 (failed with status 7)' in text


def test_finished_rows_are_skipped(series, toy_run, capsys, finish):
    finish(toy_run('scratch'))
    commands = []

    def behave(run, state):
        commands.append((run.row.name, state))
        return finish(run)

    assert series(behave).run() == []
    assert commands == [('block7', 'NEW')]
    assert 'scratch, seed 0: finished before: AP 10.00' in capsys.readouterr().out


def test_a_training_that_diverged_fails_now_and_later(series, finish, tmp_path):
    def behave(run, state):
        finish(run)
        log = next(run.work_dir.glob('*/vis_data/scalars.json'))
        (first, *rest) = log.read_text().splitlines()
        lines = [json.dumps({**json.loads(first), 'loss': math.nan}), *rest]
        log.write_text('\n'.join(lines) + '\n')
        return ''

    (failed,) = series(behave, rows=['scratch']).run()
    assert 'failed: the loss is not finite from iteration 8 on; see' in failed
    assert series(behave, rows=['scratch']).run() == [failed]
    content = json.loads((tmp_path / 'table3.json').read_text())
    assert content['runs'][0]['state'].startswith('finished, the loss is not finite')
    text = (tmp_path / 'table3.md').read_text()
    assert 'Left out: scratch, seed 0 (finished, the loss is not finite' in text
    assert 'none finished' in text


def test_an_evaluation_that_is_missing_is_made_up_for(series, save, log_evaluation):
    seen = []

    def behave(run, state):
        seen.append(state)
        if state == 'NEW':
            save(run, 2)
        else:
            log_evaluation(run, 2)
        return ''

    assert series(behave, rows=['scratch']).run() == []
    assert seen == ['NEW', 'TRAINED']


def test_no_progress_is_a_failure(series, save):
    def behave(run, state):
        save(run, 2)
        return ''

    (failed,) = series(behave, rows=['scratch']).run()
    assert "the evaluation gave no 'coco/bbox_mAP'" in failed

    def stop_early(run, state):
        save(run, 1)
        return ''

    (failed,) = series(stop_early, rows=['block1']).run()
    assert 'epoch_1.pth is not the whole checkpoint of its end' in failed


def test_what_was_run_is_noted(series, part, tmp_path, finish):
    series(lambda run, state: finish(run), rows=['scratch']).run()
    (note,) = part('record').read_attempts(tmp_path / 'scratch_seed0')
    assert note['status'] == 0
    assert note['started'] <= note['ended']
    assert note['command'].startswith('python -c')
    assert re.match(r'[0-9a-f]{12}|not a git clone', note['commit'])


def test_an_interrupt_leaves_a_table(series, tmp_path, monkeypatch, part, save):
    one = series(lambda run, state: '')

    def interrupted(*args):
        save(one.plan.asked[0], 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(part('carrying'), 'start_command', interrupted)
    with pytest.raises(KeyboardInterrupt):
        one.run()
    content = json.loads((tmp_path / 'table3.json').read_text())
    states = [run['state'] for run in content['runs']]
    assert states == ['interrupted', 'not started']
    assert content['runs'][0]['attempts'][0]['ended']
