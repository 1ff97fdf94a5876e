import pytest
from mmengine.config import Config
from mmengine.registry import HOOKS

from dropblock_mm.config_files import resolve_config
from dropblock_mm.runs import load_config
from dropblock_mm.runs.messages import has_started, is_user_mistake, one_message
from dropblock_mm.testing.toy import toy_runner


def raised_by(call):
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError('nothing was raised')


def schedule(**arguments):
    return HOOKS.build(dict(type='dropblock_mm.KeepProbScheduleHook', **arguments))


MISTAKES = {
    'value': lambda: schedule(keep_prob=1.5),
    'unknown argument': lambda: schedule(keep_prb=0.9),
    'config': lambda: resolve_config('no.py'),
    'type': lambda: HOOKS.build(dict(type='dropblock_mm.NoHook')),
    'option': lambda: Config(dict(a=[1])).merge_from_dict({'a.7': 1}),
}
BUGS = {
    'by Python': lambda: None + 1,
    'raised elsewhere': lambda: int('x'),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_refused_arguments_are_mistakes(name):
    assert is_user_mistake(raised_by(MISTAKES[name]))


@pytest.mark.parametrize('name', BUGS)
def test_bugs_are_not(name):
    assert not is_user_mistake(raised_by(BUGS[name]))


def test_errors_that_python_raises_in_our_code_are_not():
    error = raised_by(lambda: load_config('no.py', options=3))
    assert isinstance(error, AttributeError)
    assert not is_user_mistake(error)


def test_one_message(capsys):
    with pytest.raises(SystemExit) as stop, one_message():
        schedule(keep_prob=1.5)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith('error: KeepProbScheduleHook: keep_prob=1.5 ')
    assert 'Traceback' not in said


def test_key_errors_are_not_quoted(capsys):
    with pytest.raises(SystemExit), one_message():
        MISTAKES['type']()
    assert capsys.readouterr().err.startswith('error: dropblock_mm.NoHook is not in')


def test_one_rank_speaks(capsys, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '1')
    with pytest.raises(SystemExit), one_message():
        schedule(keep_prob=1.5)
    assert capsys.readouterr().err == ''


def test_nothing_is_hidden_after_the_start():
    with pytest.raises(ValueError, match=r'keep_prob=1\.5'), one_message(lambda: True):
        schedule(keep_prob=1.5)


def test_bugs_keep_their_traceback():
    with pytest.raises(TypeError), one_message():
        BUGS['by Python']()


def test_has_started(tmp_path):
    runner = toy_runner(tmp_path, [])
    started = has_started(runner)
    assert not started()
    runner.train()
    assert started()


def test_a_hook_that_refuses_is_before_the_start(tmp_path, capsys):
    hook = dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9)
    runner = toy_runner(tmp_path, [hook])
    with pytest.raises(SystemExit), one_message(unless=has_started(runner)):
        runner.train()
    assert 'error: KeepProbScheduleHook(keep_prob=0.9) finds' in capsys.readouterr().err
