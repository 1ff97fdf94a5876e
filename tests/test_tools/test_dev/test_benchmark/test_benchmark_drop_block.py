"""The command."""

import json

import pytest
import torch
from PIL import Image

FAST = ('op', 'block_size', 'scaling', 'keep_rate', 'cuda')


def test_a_quick_run_measures_prints_and_saves(run_script, tmp_path):
    out = tmp_path / 'new' / 'result.json'
    done = run_script('--quick', '--only', *FAST, '--out', out)
    assert done.returncode == 0, done.stderr
    assert 'whose figures mean nothing' in done.stdout
    assert 'not run: ' in done.stdout
    assert 'x * c' in done.stdout
    found = json.loads(out.read_text())
    assert set(found) == {
        'schema', 'arguments', 'settings', 'environment', 'sections'
    }  # fmt: skip
    assert [section['name'] for section in found['sections']] == list(FAST)
    for section in found['sections']:
        for table in section['tables']:
            keys = {column['key'] for column in table['columns']}
            assert table['rows']
            assert all(keys >= set(row) - {'units'} for row in table['rows'])
        for gate in section['gates']:
            assert {'name', 'value', 'limit', 'passed', 'verdict'} <= set(gate)
            assert f'| {gate["name"]} ' in done.stdout
    with Image.open(out.with_suffix('.png')) as image:
        assert min(image.size) > 300


@pytest.mark.nightly
def test_the_sections_that_take_longer_run_too(run_script, tmp_path):
    pytest.importorskip('mmdet')
    out, names = tmp_path / 'result.json', ('memory', 'training_step', 'compile')
    done = run_script('--quick', '--only', *names, '--out', out)
    assert done.returncode == 0, done.stderr
    sections = json.loads(out.read_text())['sections']
    assert [section['name'] for section in sections] == list(names)
    assert [bool(section['gates']) for section in sections] == [True] * 3
    assert 'no figure: it needs the section op' in done.stdout


def test_check_fails_where_a_gate_fails(tool, part, tmp_path, monkeypatch):
    report = part('report')
    for value, status in ((1.0, None), (3.0, 1)):
        gates = [report.Gate('a', value, 2.0)]
        section = report.Section('keep_rate', 'Keep rate', gates=gates)
        monkeypatch.setattr(part('keep_rate'), 'run', lambda _, found=section: found)
        words = ['--only', 'keep_rate', '--out', str(tmp_path / 'a.json')]
        words += ['--allocator', 'system', '--threads', '1']
        tool.main(words)  # without --check it is no failure
        stopped = None
        try:
            tool.main([*words, '--check'])
        except SystemExit as stop:
            stopped = stop.code
        assert stopped == status


@pytest.mark.skipif(torch.cuda.is_available(), reason='a CUDA device is here')
def test_without_a_gpu_nothing_runs_there_and_nothing_is_checked(
    tool, part, tmp_path, capsys
):
    words = ['--device', 'cuda', '--out', str(tmp_path / 'a.json'), '--check']
    with pytest.raises(SystemExit) as stop:
        tool.main([*words, '--allocator', 'system', '--threads', '1'])
    assert stop.value.code == 1
    said = capsys.readouterr().out
    assert said.count('not run: no CUDA device') == 2 * len(part('arguments').SECTIONS)
    sections = json.loads((tmp_path / 'a.json').read_text())['sections']
    assert {section['not_run'] for section in sections} == {'no CUDA device'}


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--only', 'opp'], "invalid choice: 'opp'"),
        (['--threads', '0'], "'0' is not a whole number above 0"),
        (['--repeats', 'many'], "'many' is not a whole number above 0"),
        (['--quick', '--docs'], '--docs with --quick'),
    ],
)
def test_wrong_arguments_are_one_message(part, capsys, words, message):
    with pytest.raises(SystemExit) as stop:
        part('arguments').parse_args('Measure', words)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_page_without_markers_stops_it_before_it_measures(tool, tmp_path, capsys):
    page = tmp_path / 'page.md'
    page.write_text('no markers')
    with pytest.raises(SystemExit) as stop:
        tool.main(['--docs', str(page), '--out', str(tmp_path / 'a.json')])
    assert stop.value.code.startswith(f'benchmark_drop_block: --docs {page} is no page')
    assert capsys.readouterr().out == ''
