"""The table in Markdown and JSON."""

import json
import re
import statistics

import pytest
import torch

from dropblock_mm.testing.training_logs import write_log


def test_mean_and_spread(part):
    summary = part('report').Summary((1.0, 2.0, 4.5))
    assert summary.mean == pytest.approx(2.5)
    assert summary.spread == pytest.approx(statistics.stdev([1.0, 2.0, 4.5]))
    assert str(summary) == '2.5 ± 1.8'
    assert str(part('report').Summary((2.0,))) == '2.0'


def test_several_seeds(series, part, table, tmp_path, finish):
    series(lambda run, state: finish(run), seeds=(0, 1, 2)).run()
    content = json.loads((tmp_path / 'table3.json').read_text())
    scratch = content['rows'][0]
    paper = table('table3').row('scratch').paper
    assert scratch['paper'] == paper
    assert scratch['measured']['AP']['values'] == pytest.approx([10, 20, 30])
    assert scratch['measured']['AP']['mean'] == pytest.approx(20)
    assert scratch['measured']['AP']['standard_deviation'] == pytest.approx(10)
    assert content['environment']['PyTorch'] == torch.__version__
    assert content['command'] == 'the command'
    assert content['commit'] == part('record').commit()
    text = (tmp_path / 'table3.md').read_text()
    cells = [cell.strip() for cell in text.splitlines()[4].split('|')]
    ap, ap50, ap75 = map(str, paper.values())
    shown = [ap, '20.0 ± 10.0', ap50, '60.0 ± 30.0', ap75, '40.0 ± 20.0']
    assert cells[1:-1] == ['scratch', 'scratch', *shown, '0, 1, 2']
    assert 'mean ± sample standard deviation' in text
    (line,) = re.findall(r'^\| scratch, seed 0.*', text, re.MULTILINE)
    moment = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d'
    assert re.fullmatch(f'{moment} to {moment}', line.split('|')[7].strip())
    assert 'smoke' not in text


def test_what_drop_block_kept_is_told(series, tmp_path, save, log_evaluation):
    def behave(run, state):
        save(run, 2)
        log_evaluation(run, 2)
        if run.row.name == 'block7':
            rows = [dict(effective_keep_rate=r, epoch=2) for r in (0.96, 0.94)]
            rows = [{**row, 'iter': 5 + i, 'step': 5 + i} for i, row in enumerate(rows)]
            write_log(run.work_dir, '20190101_000000', rows)
        return ''

    series(behave).run()
    text = (tmp_path / 'table3.md').read_text()
    (plain,) = re.findall(r'^\| scratch, seed 0.*', text, re.MULTILINE)
    (dropped,) = re.findall(r'^\| block7, seed 0.*', text, re.MULTILINE)
    assert plain.split('|')[6].strip() == 'all'
    assert dropped.split('|')[6].strip() == '0.950'
    runs = json.loads((tmp_path / 'table3.json').read_text())['runs']
    rates = [run['effective_keep_rate'] for run in runs]
    assert rates == [None, pytest.approx(0.95)]


def test_one_finished_seed_has_no_spread(series, tmp_path, finish):
    def behave(run, state):
        return finish(run) if run.seed == 0 else 'raise SystemExit(1)'

    series(behave, seeds=(0, 1)).run()
    text = (tmp_path / 'table3.md').read_text()
    assert 'Not finished: scratch, seed 1' in text
    assert '±' not in text
    assert 'mean' not in text


def test_a_study_has_no_column_of_the_paper(part, table):
    text = part('report').main_table(table('bccd'), [])
    (head,) = text.splitlines()[:1]
    assert head.split('|')[3].strip() == 'mAP, measured'
    assert 'paper' not in head


def test_a_smoke_table_says_so(series, tmp_path, finish):
    one = series(lambda run, state: finish(run))
    one.smoke, one.data = True, 'data/mine'
    one.run()
    text = (tmp_path / 'table3.md').read_text()
    assert '**A smoke run.** ' in text
    assert ' Measured on: data/mine.' in text
