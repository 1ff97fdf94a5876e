"""The table of commands, and how a message says what to type."""

import importlib
import inspect
import re
import sys

import pytest

from dropblock_mm import programs
from dropblock_mm.programs import PROGRAMS, as_typed, module_of, typed

COMMANDS = programs.ROOT / 'dropblock_mm/commands'


def test_every_command_is_in_the_table_and_has_a_script():
    modules = {module_of(name).rpartition('.')[2] for name in PROGRAMS}
    begun = re.compile(r'^def main\(', re.MULTILINE)  # the others are shared by these
    assert modules == {
        p.stem for p in COMMANDS.glob('*.py') if begun.search(p.read_text())
    }
    for name, known in PROGRAMS.items():
        script = (programs.ROOT / known.script).read_text()
        assert f'from {module_of(name)} import main\n' in script
        returns = inspect.signature(importlib.import_module(module_of(name)).main)
        if returns.return_annotation != 'None':
            assert 'raise SystemExit(main())' in script, 'the status is passed on'


@pytest.mark.parametrize('name', PROGRAMS)
def test_every_command_takes_its_arguments_from_the_caller(name, capsys):
    with pytest.raises(SystemExit) as stop:
        importlib.import_module(module_of(name)).main(['--help'])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith('usage:')


@pytest.mark.parametrize('name', PROGRAMS)
def test_examples_in_the_help_are_wrapped_as_they_were_written(name):
    # A docstring that is not raw swallows the backslash and the end of the line.
    help_text = importlib.import_module(module_of(name)).__doc__
    assert not re.search(r'\S {9}\S', help_text)
    assert max(map(len, help_text.splitlines())) <= 88


@pytest.mark.parametrize(
    ('started', 'clone', 'expected'),
    [
        ('tools/train.py', True, 'python tools/misc/check_dataset.py'),
        ('pytest', True, 'python tools/misc/check_dataset.py'),
        ('pytest', False, 'python -m dropblock_mm check-dataset'),
        (f'{programs.MODULE} train', True, 'python -m dropblock_mm check-dataset'),
        (f'{programs.SCRIPT} train', False, 'dropblock-mm check-dataset'),
        ('/a folder/train', False, 'python -m dropblock_mm check-dataset'),
    ],
)
def test_commands_are_typed_as_the_user_types(monkeypatch, started, clone, expected):
    monkeypatch.setattr(sys, 'argv', [started])
    monkeypatch.setattr(programs, 'in_clone', lambda: clone)
    assert typed('check-dataset') == expected
    assert typed('check-dataset', 'a b.py', '--json', '-') == (
        f"{expected} 'a b.py' --json -"
    )


def test_texts_name_commands_as_the_user_types_them(monkeypatch):
    text = 'python tools/test.py A\npython tools/train.py B'
    assert as_typed(text) == text
    monkeypatch.setattr(programs, 'in_clone', lambda: False)
    assert as_typed(text) == (
        'python -m dropblock_mm test A\npython -m dropblock_mm train B'
    )


def test_this_is_a_clone():
    assert programs.in_clone()
