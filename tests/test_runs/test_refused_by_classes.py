"""Classes that refuse; pytest is to leave the assertions: PYTEST_DONT_REWRITE."""

import sys

import pytest
from mmengine.registry import HOOKS, Registry

from dropblock_mm.errors import RefusedError, RefusedFileError
from dropblock_mm.runs.refused_by_mmengine import refusing_what_mmengine_refuses

THINGS = Registry('thing', locations=['tests'])


@THINGS.register_module()
class PickyOfTests:
    """Refuses by itself, in each of the ways that libraries have."""

    def __init__(self, how, start_factor=1, **packages):
        if how == 'assert':
            assert how != 'assert'
        assert how != 'words', f'how={how} is not for me.'
        if how == 'raise':
            raise KeyError(
                f'how should be another, but got {how}.',
            )
        if how == 'below':
            self.read()
        if how == 'bug below':
            self.stumble()
        if how == 'raised below':
            self.complain()
        if how == 'python':
            int('x')
        if how == 'key':
            {}['how']
        if how == 'operands':
            how + 1
        if how == 'deprecated':
            raise RuntimeError('The `other_way` is deprecated, take another.')
        if how == 'python in an assertion':
            assert int('x')
        if how == 'no such way':
            self.way = {'a way': 1}[how]
        if how == 'lines':
            assert isinstance(
                how,
                tuple,
            )
        if start_factor > 1:
            raise ValueError('Starting factors should be between 0 and 1.')
        if packages:
            raise RuntimeError(
                f'{packages["of"]} is not installed,\
                please install it.'
            )

    def read(self):
        assert not self.stumble.__doc__

    def stumble(self):
        """Fail by a mistake of its own."""
        return {}['no such']

    def complain(self):
        raise ValueError('this class says no')


def refusal(how, **more):
    config = dict(data=[dict(type='PickyOfTests', how=how, **more)])
    with refusing_what_mmengine_refuses(config):
        THINGS.build(config['data'][0])


@pytest.mark.parametrize(
    ('how', 'said'),
    [
        ('assert', "it asserts how != 'assert' ("),
        ('words', 'how=words is not for me ('),
        ('raise', 'how should be another, but got raise ('),
        ('deprecated', 'The `other_way` is deprecated, take another ('),
        ('below', 'it asserts not self.stumble.__doc__ ('),
        ('no such way', 'no such way ('),
    ],
)
def test_a_class_that_refuses_is_named(how, said):
    with pytest.raises(RefusedError) as refused:
        refusal(how)
    text = str(refused.value)
    assert text.startswith('PickyOfTests refuses what it is given in data.0: ')
    assert said in text
    assert "test_refused_by_classes.py', line " in text


def test_words_that_do_not_name_an_argument_as_it_is_written():
    with pytest.raises(RefusedError, match=r'PickyOfTests refuses .*Starting'):
        refusal('', start_factor=2)


def test_a_package_is_to_be_installed_and_no_argument_changed():
    with pytest.raises(RefusedError) as refused:
        refusal('', of='lvis')
    text = str(refused.value)
    assert text.startswith(
        'PickyOfTests, which data.0 names, lacks a package: lvis is not installed, '
        'please install it ('
    )
    assert 'Install it in the environment of this Python' in text


@pytest.mark.skipif(sys.version_info < (3, 11), reason='ends of lines are not known')
def test_the_lines_of_an_assertion_are_shown():
    with pytest.raises(
        RefusedError, match=r'it asserts isinstance\( how, tuple, \) \('
    ):
        refusal('lines')


def test_no_code_is_looked_at():
    """What refuses is told without a source, and a bug then still passes."""
    code = (
        'class PickyElsewhere:\n    def __init__(self, way):\n'
        "        if way:\n            raise ValueError('way must be empty')\n"
        "        int('x')\n"
    )
    names = {}
    exec(compile(code, 'nowhere.py', 'exec'), names)
    config = dict(hook=dict(type='PickyElsewhere'))
    with (
        pytest.raises(RefusedError, match=r'PickyElsewhere refuses .*: way must be'),
        refusing_what_mmengine_refuses(config),
    ):
        names['PickyElsewhere'](way='a')
    with (
        pytest.raises(ValueError, match='invalid literal') as bug,
        refusing_what_mmengine_refuses(config),
    ):
        names['PickyElsewhere'](way='')
    assert not isinstance(bug.value, RefusedError)


@pytest.mark.parametrize(
    ('how', 'kind'),
    [
        ('bug below', KeyError),
        ('raised below', ValueError),
        ('python', ValueError),
        ('key', KeyError),
        ('operands', TypeError),
        ('python in an assertion', ValueError),
    ],
)
def test_bugs_pass(how, kind):
    with pytest.raises(kind) as bug:
        refusal(how)
    assert not isinstance(bug.value, RefusedError)


def test_an_assertion_is_a_refusal_also_without_its_source():
    code = 'class Sourceless:\n    def __init__(self):\n        assert 0 == 1\n'
    names = {}
    exec(compile(code, 'nowhere.py', 'exec'), names)
    with (
        pytest.raises(RefusedError, match=r'Sourceless refuses .*AssertionError \('),
        refusing_what_mmengine_refuses(dict(hook=dict(type='Sourceless'))),
    ):
        names['Sourceless']()


def test_who_is_to_blame_is_the_same_without_the_source():
    code = (
        'class Sourceless:\n'
        '    def __init__(self, how):\n'
        '        if how == 1:\n'
        '            raise ValueError("how is never 1")\n'
        '        int("x")\n'
    )
    names = {}
    exec(compile(code, 'nowhere.py', 'exec'), names)
    config = dict(hook=dict(type='Sourceless', how=1))
    with (
        pytest.raises(RefusedError, match=r'Sourceless refuses .*: how is never 1 \('),
        refusing_what_mmengine_refuses(config),
    ):
        names['Sourceless'](1)
    with (
        pytest.raises(ValueError, match='invalid literal') as bug,
        refusing_what_mmengine_refuses(config),
    ):
        names['Sourceless'](2)
    assert not isinstance(bug.value, RefusedError)


def test_a_class_that_the_config_does_not_name_passes():
    with (
        pytest.raises(AssertionError),
        refusing_what_mmengine_refuses(dict(hook=dict(type='Hook'))),
    ):
        THINGS.build(dict(type='PickyOfTests', how='assert'))


def test_nothing_is_refused_once_training_began():
    with (
        pytest.raises(AssertionError),
        refusing_what_mmengine_refuses(dict(type='PickyOfTests'), unless=lambda: True),
    ):
        THINGS.build(dict(type='PickyOfTests', how='assert'))


def test_mmengines_own_hooks_are_such_classes():
    hook = dict(type='EMAHook', begin_iter=-1)
    with (
        pytest.raises(RefusedError, match=r'EMAHook refuses .* custom_hooks\.0: '),
        refusing_what_mmengine_refuses(dict(custom_hooks=[hook])),
    ):
        HOOKS.build(hook)


@THINGS.register_module()
class TaughtOfTests:
    """Opens a file that it was given, as a distiller does, or one of its own."""

    def __init__(self, teacher_config=None):
        with open(teacher_config or 'nowhere/own.txt'):
            pass


@pytest.mark.parametrize(
    ('given', 'said'),
    [
        ('nowhere/teacher.py', 'No such file or directory'),
        ('.', 'Is a directory'),
    ],
)
def test_a_file_that_the_config_names_is_named_with_its_key(given, said):
    """Seen with teacher_config of mmdet 3.3.0's KnowledgeDistillationSingleStage."""
    part = dict(type='TaughtOfTests', teacher_config=given)
    key = rf"model\.teacher_config='{given}' cannot be opened: {said} \(looked from '/"
    with (
        pytest.raises(RefusedFileError, match=key),
        refusing_what_mmengine_refuses(dict(model=part)),
    ):
        THINGS.build(dict(part))


def test_a_file_that_the_config_does_not_name_passes():
    part = dict(type='TaughtOfTests')
    with (
        pytest.raises(FileNotFoundError) as error,
        refusing_what_mmengine_refuses(dict(model=part, work_dir='')),
    ):
        THINGS.build(dict(part))
    assert type(error.value) is FileNotFoundError
