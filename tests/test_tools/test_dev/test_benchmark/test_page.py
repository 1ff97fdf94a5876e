"""The page of the documentation, and putting results into it."""

import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[4] / 'docs/en/benchmark.md'


def test_results_replace_what_is_between_the_markers(part, tmp_path):
    page, path = part('page'), tmp_path / 'page.md'
    path.write_text(f'above\n{page.BEGIN}\nold\n{page.END}\nbelow\n')
    page.check(path)
    page.replace(path, 'new')
    assert path.read_text() == (f'above\n{page.BEGIN}\n\nnew\n\n{page.END}\nbelow\n')


@pytest.mark.parametrize('text', ['', '{end} {begin}', '{begin}', '{begin}' * 2])
def test_a_page_without_markers_is_refused(part, tmp_path, text):
    page, path = part('page'), tmp_path / 'page.md'
    path.write_text(text.format(begin=page.BEGIN, end=page.END))
    with pytest.raises(ValueError, match=r'--docs .*page\.md is no page'):
        page.check(path)


def test_the_committed_page_has_a_whole_run(part):
    page = part('page')
    page.check(PAGE)
    results = PAGE.read_text().partition(page.BEGIN)[2].partition(page.END)[0]
    titles = re.findall(r'^### (.+)$', results, re.MULTILINE)
    assert titles == [
        'The op on the CPU',
        'Block sizes',
        'Number of units',
        'Memory',
        'Training steps',
        'Effective keep rate',
        'torch.compile',
        'Kernels on a GPU',
    ]
    assert 'a quick run' not in results
    assert (PAGE.parent / page.PICTURE).is_file()


def test_verdicts_on_the_committed_page_are_those_of_its_numbers(part):
    line = r'^\| (PASS|FAIL|aim \w+) *\| (.+?) *\| (\S+) *\| ([<>]=) (\S+) *\|$'
    found = re.findall(line, PAGE.read_text(), re.MULTILINE)
    assert len(found) > 10
    for verdict, name, value, sign, limit in found:
        is_aim = verdict.startswith('aim')
        numbers = (float(value), float(limit))
        gate = part('report').Gate(name, *numbers, sign == '>=', is_aim)
        assert gate.verdict == verdict, name


def test_commands_on_the_page_have_arguments_that_exist(part):
    commands = re.findall(r"^make bench ARGS='(.+?)'", PAGE.read_text(), re.M)
    assert len(commands) > 1
    for words in commands:
        part('arguments').parse_args('Measure', shlex.split(words))
