"""Ctrl-C ends every command in one line, with a shell's status."""

import importlib
import itertools
import re
import signal
import sys
from pathlib import Path

import pytest

from dropblock_mm.commands.interrupted import InterruptedCommandError, interruptible
from dropblock_mm.programs import PROGRAMS, module_of

GO_ON = {'activation-maps', 'robustness', 'predict', 'compare', 'sweep', 'reproduce'}
GO_ON |= {'voc-aug'}


@pytest.mark.parametrize('name', PROGRAMS)
def test_every_command_ends_in_one_line(name, monkeypatch, capsys):
    command = importlib.import_module(module_of(name))

    def pressed(argv):
        signal.raise_signal(signal.SIGINT)

    # Shells start what runs in the background with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr(command, 'parse_args', pressed)
    with pytest.raises(SystemExit) as stop:
        command.main(['a b', '--to', 'type'])
    signal.signal(signal.SIGINT, before)
    assert stop.value.code == 130
    out, told = capsys.readouterr()
    assert not out
    does = 'goes on' if name in GO_ON else 'begins anew'
    assert told.startswith(f'\ninterrupted; the same command {does}: ')
    assert told.endswith(f"{name.replace('-', '_')}.py 'a b' --to type\n")
    assert told.count('\n') == 2


def test_a_command_may_say_more(capsys):
    @interruptible('test')
    def main(argv=None):
        raise InterruptedCommandError('half is done', 143)

    with pytest.raises(SystemExit, match=r'^143$'):
        main()
    assert capsys.readouterr().err == 'half is done\n'


def test_what_was_typed_is_what_is_said(monkeypatch, capsys):
    @interruptible('test')
    def main(argv=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, 'argv', ['dropblock-mm test', 'CONFIG', 'CHECKPOINT'])
    with pytest.raises(SystemExit, match=r'^130$'):
        main()
    told = capsys.readouterr().err
    assert told.endswith(': dropblock-mm test CONFIG CHECKPOINT\n')


def test_the_docs_tell_which_commands_go_on():
    page = Path(__file__).parents[2] / 'docs/en/config_reference.md'
    table = page.read_text().split('| interrupted | started again |')[1]
    rows = itertools.takewhile(lambda row: 'every other' not in row, table.split('\n'))
    told = {name for row in rows for name in re.findall('`([a-z-]+)`', row)}
    assert told - {'--resume'} == GO_ON | {'train'}
