"""The check for a GPU, on the CPU: its parts, going on, its limits and its page."""

import json
import sys

import pytest

from tools.dev.gpu_check import __main__ as gpu_check
from tools.dev.gpu_check import page, trials
from tools.dev.gpu_check.parts import PARTS, Part

SCRIPT = """
import json, pathlib, sys
count = pathlib.Path({count!r})
count.write_text(count.read_text() + '.' if count.exists() else '.')
pathlib.Path({out!r}).write_text(json.dumps({found!r}))
sys.exit({status})
"""


@pytest.fixture
def part(tmp_path, monkeypatch):
    """Make the check consist of one part, which ends and finds what is asked for."""

    def make(status=0, found=None, body=SCRIPT, needs=()):
        class Scripted(Part):
            def command(self, device, out, quick):
                code = body.format(
                    count=str(tmp_path / 'count'),
                    out=str(out),
                    found=found or {'seen': True},
                    status=status,
                )
                return [sys.executable, '-c', code]

        made = {'one': Scripted('a part', 'json', (), needs=needs)}
        monkeypatch.setattr(gpu_check, 'PARTS', made)
        return ['--device', 'cpu', '--out', str(tmp_path / 'out')]

    return make


def record_of(tmp_path):
    return json.loads((tmp_path / 'out/cpu/one.json').read_text())


def test_a_part_that_passed_is_not_run_again(part, tmp_path):
    arguments = part()
    assert gpu_check.main(arguments) == gpu_check.main(arguments) == 0
    assert (tmp_path / 'count').read_text() == '.'
    record = record_of(tmp_path)
    assert record['status'] == 'passed'
    assert record['results'] == {'seen': True}
    assert gpu_check.main([*arguments, '--again']) == 0
    assert (tmp_path / 'count').read_text() == '..'


def test_a_part_that_failed_is_tried_again(part, tmp_path):
    arguments = part(status=3)
    assert gpu_check.main(arguments) == gpu_check.main(arguments) == 1
    assert (tmp_path / 'count').read_text() == '..'
    assert record_of(tmp_path)['why'] == 'exit status 3'


def test_a_part_that_takes_too_long_is_ended(part, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_check, 'LIMIT', 0.5)
    body = 'import time\nprint("begun", flush=True)\ntime.sleep(600)'
    assert gpu_check.main(part(body=body)) == 1
    record = record_of(tmp_path)
    assert record['why'] == 'took more than 0.5 seconds'


def test_what_a_part_lacks_is_named(part, tmp_path):
    assert gpu_check.main(part(needs=('json', 'no_such_package'))) == 0
    record = record_of(tmp_path)
    assert (record['status'], record['why']) == ('not run', 'needs no_such_package')


def test_what_a_package_lacks_in_turn_is_one_message(part, tmp_path, monkeypatch):
    (tmp_path / 'half_there.py').write_text('import no_such_package')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    assert gpu_check.main(part(needs=('json', 'half_there'))) == 0
    record = record_of(tmp_path)
    assert (record['status'], record['why']) == (
        'not run',
        'cannot import json, half_there: '
        "ModuleNotFoundError: No module named 'no_such_package'",
    )
    assert not (tmp_path / 'count').exists()


def test_what_had_nothing_to_measure_was_not_run(part, tmp_path):
    found = {'sections': [{'not_run': 'no CUDA device'}]}
    assert gpu_check.main(part(found=found)) == 0
    record = record_of(tmp_path)
    assert (record['status'], record['why']) == ('not run', 'no CUDA device')


def test_without_a_gpu_it_says_so(part, tmp_path, monkeypatch, capsys):
    part()
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    assert gpu_check.main(['--out', str(tmp_path / 'out')]) == 2
    assert 'torch sees no GPU' in capsys.readouterr().err


def test_a_page_takes_what_was_found(tmp_path):
    folder = tmp_path / 'found'
    folder.mkdir()
    gate = {'name': 'times x * c', 'value': 1.2, 'limit': 1.25, 'verdict': 'PASS'}
    about = {'device': 'a GPU', 'torch': '2.14.1'}
    results = {'environment': about, 'sections': [{'gates': [gate]}]}
    (folder / 'op.json').write_text(
        json.dumps({'status': 'passed', 'seconds': 9.5, 'results': results})
    )
    file = tmp_path / 'page.md'
    file.write_text(f'# Before\n{page.BEGIN}\nold\n{page.END}\nafter\n')
    page.put(file, page.text_of(folder, PARTS))
    text = file.read_text()
    assert 'old' not in text
    assert text.startswith('# Before\n')
    assert text.endswith('after\n')
    assert 'device: a GPU; torch: 2.14.1' in text
    assert f'| {PARTS["op"].title} | passed |  | 9.5 |' in text
    assert '- op: times x * c: 1.2, limit 1.25 (PASS)' in text
    assert f'| {PARTS["amp"].title} | not run |' in text
    with pytest.raises(ValueError, match='has not one line'):
        page.put(tmp_path / 'found/op.json', text)


def test_the_documentation_has_the_place(repo_root):
    text = (repo_root / page.PAGE).read_text()
    assert text.count(page.BEGIN) == text.count(page.END) == 1


def test_every_part_runs_what_there_is(repo_root, tmp_path):
    from tools.dev.benchmark.arguments import SECTIONS

    for part in PARTS.values():
        words = part.command('cpu', tmp_path / 'out.json', quick=True)
        assert not [word for word in words if '{' in word]
        assert all((repo_root / w).exists() for w in words if w.startswith('tests/'))
        if '--only' in words:
            sections = words[words.index('--only') + 1 : words.index('--device')]
            assert set(sections) <= set(SECTIONS)
    assert list(PARTS)[:2] == ['op_tests', 'op']


def test_a_trial_writes_what_it_found(tmp_path, monkeypatch):
    out = tmp_path / 'out.json'
    assert trials.main(['amp', '--device', 'cpu', '--out', str(out)]) == 0
    assert json.loads(out.read_text())['bfloat16_loss_falls'] is True
    assert trials.main(['graphs', '--device', 'cpu', '--out', str(out)]) == 0
    assert json.loads(out.read_text()) == {'not_run': 'CUDA graphs need a GPU'}
    monkeypatch.setitem(trials.TRIALS, 'amp', lambda device: {'loss_falls': False})
    assert trials.main(['amp', '--device', 'cpu', '--out', str(out)]) == 1


@pytest.mark.nightly
def test_two_processes_keep_equal_weights_and_masks_of_their_own():
    found = trials.two_processes('cpu')
    assert found['equal_weights']
    assert found['masks_of_their_own']
    assert found['backend'] == 'gloo'
