import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS

from dropblock_mm.config_files import resolve_config
from dropblock_mm.errors import RefusedError
from dropblock_mm.runs import load_config
from dropblock_mm.runs.messages import has_started, is_user_mistake, one_message
from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses
from dropblock_mm.testing.toy import toy_resnet, toy_runner


def raised_by(call):
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError('nothing was raised')


def schedule(**arguments):
    return HOOKS.build(dict(type='dropblock_mm.KeepProbScheduleHook', **arguments))


def build(registry=HOOKS, **config):
    """Build as a command does, from a config that is known."""
    with refusing_what_mmengine_refuses(config):
        return registry.build(config)


@HOOKS.register_module(force=True)
class BuggyHook(Hook):
    """Whose constructor does what a config is not to blame for."""

    def __init__(self, how='by zero'):
        if how == 'by zero':
            raise ZeroDivisionError
        if how == 'unexpected':
            dict(a=1).update(self.__module__.split(maxsplits=2))
        toy_resnet(deep=18)


MISTAKES = {
    'value': lambda: schedule(keep_prob=1.5),
    'unknown argument': lambda: build(
        type='dropblock_mm.KeepProbScheduleHook', keep_prb=0.9
    ),
    'unknown argument of MMEngine': lambda: build(type='LoggerHook', intervall=9),
    'argument of a parent': lambda: build(
        MODELS, type='mmdet.FasterRCNN', backbone=dict(), nek=dict()
    ),
    'missing argument': lambda: build(type='BuggyHookOfTests'),
    'config': lambda: resolve_config('no.py'),
    'type': lambda: build(type='dropblock_mm.NoHook'),
    'no type': lambda: build(keep_prob=0.9),
    'type of no use': lambda: build(type=3),
}
BUGS = {
    'by Python': lambda: None + 1,
    'raised elsewhere': lambda: int('x'),
    'in a constructor': lambda: build(type='BuggyHook'),
    'a wrong call in a constructor': lambda: build(type='BuggyHook', how='unexpected'),
    'an argument that no config has': lambda: build(type='BuggyHook', how='deep'),
}


@HOOKS.register_module(force=True)
class BuggyHookOfTests(Hook):
    """Whose constructor wants an argument."""

    def __init__(self, needed):
        self.needed = needed


@pytest.mark.parametrize('name', MISTAKES)
def test_refused_arguments_are_mistakes(name):
    assert is_user_mistake(raised_by(MISTAKES[name]))


@pytest.mark.parametrize('name', BUGS)
def test_bugs_are_not(name):
    assert not is_user_mistake(raised_by(BUGS[name]))


@pytest.mark.parametrize(
    ('config', 'place'),
    [
        (dict(type='LoggerHook', intervall=9), 'intervall=9'),
        (dict(type='NoHook'), "type='NoHook'"),
    ],
)
def test_the_place_in_the_config_is_named(config, place):
    with (
        pytest.raises(RefusedError) as refusal,
        refusing_what_mmengine_refuses(dict(custom_hooks=[config])),
    ):
        HOOKS.build(config)
    assert f'The config has custom_hooks.0.{place}.' in str(refusal.value)
    assert refusal.value.__cause__ is not None
    assert 'More details' not in str(refusal.value)


def test_an_option_that_does_not_fit_is_a_mistake(tmp_path):
    path = tmp_path / 'a.py'
    path.write_text('a = [1]')
    error = raised_by(lambda: load_config(str(path), {'a.7': 1}))
    assert is_user_mistake(error)
    assert '--cfg-options a.7=1 does not fit the config: ' in str(error)


UNREADABLE = {
    'a = 1\nb = dict(x=': r"a\.py', line 2: '\(' was never closed",
    "_base_ = ['b.py']": r"b\.py', line 1: invalid syntax",
    "_base_ = ['gone.py']": 'gone',
    "_base_ = ['mmdet::no/no.py']": 'no/no.py" does not exist',
    'a = undefined': "NameError: name 'undefined' is not defined",
    'filename = 1': 'filename is reserved',
    "_base_ = ['c.py', 'd.py']": 'Duplicate key',
    "_base_ = ['c.py']\na = dict(b=1)": 'cannot inherit from base',
    "custom_imports = dict(imports=['no_such'])": 'Failed to import',
    "_base_ = ['a.py']": 'RecursionError: .*_base_ leads back to itself',
    # As a stock config of mmpretrain 1.2.0, replknet-31B_32xb64_in1k.py.
    "_base_ = ['e.py']": 'configuration file type in the inheritance chain',
    "raise RuntimeError('set DATA')": r"RuntimeError: set DATA \(.*a\.py', line 1\)",
}


@pytest.mark.parametrize('text', UNREADABLE)
def test_a_config_that_cannot_be_read_is_named(tmp_path, text):
    lazy = 'from mmengine.hooks import EMAHook'
    texts = dict(a=text, b='1 +', c='a = 1', d='a = 2', e=lazy)
    for name, content in texts.items():
        (tmp_path / f'{name}.py').write_text(content)
    name = str(tmp_path / 'a.py')
    with pytest.raises(RefusedError, match=UNREADABLE[text]) as refusal:
        load_config(name)
    assert str(refusal.value).startswith(f'config {name!r} cannot be read: ')


def test_a_json_config_cut_short(tmp_path):
    (tmp_path / 'a.json').write_text('{"a":')
    with pytest.raises(RefusedError, match=r"a\.json' cannot be read: JSONDecodeError"):
        load_config(str(tmp_path / 'a.json'))


def test_what_a_config_computes_is_named_with_its_file_and_line(tmp_path):
    (tmp_path / 'b.py').write_text('a = 1\nb = a / 0')
    (tmp_path / 'a.py').write_text("_base_ = 'b.py'")
    with pytest.raises(RefusedError, match='ZeroDivisionError: ') as refusal:
        load_config(str(tmp_path / 'a.py'))
    assert str(refusal.value).endswith(f'({str(tmp_path / "b.py")!r}, line 2)')


def test_nothing_of_mmengines_is_refused_after_the_start():
    with (
        pytest.raises(KeyError, match='is not in the'),
        refusing_what_mmengine_refuses({}, unless=lambda: True),
    ):
        HOOKS.build(dict(type='NoHook'))


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


@pytest.mark.parametrize('started', [False, True])
def test_a_torchvision_of_another_build_is_named(capsys, started):
    with pytest.raises(SystemExit), one_message(unless=lambda: started):
        raise RuntimeError('operator torchvision::nms does not exist')
    said = capsys.readouterr().err
    assert said.startswith('error: the torchvision that is installed (')
    assert 'was built for another torch than' in said
    with pytest.raises(RuntimeError), one_message():
        raise RuntimeError('operator aten::nms does not exist')


def test_a_package_that_only_some_types_need_is_named():
    """As mmdet's LVIS data sets, and MMEngine's petrel storage."""
    said = 'Package lvis is not installed. Please run "pip install lvis".'
    with (
        pytest.raises(RefusedError, match='Please run'),
        refusing_what_mmengine_refuses({}),
    ):
        raise ImportError(said)
