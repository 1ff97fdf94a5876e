import argparse
import importlib
import os
import subprocess
import sys
import warnings

import pytest

from dropblock_mm.commands import arguments
from dropblock_mm.programs import PROGRAMS, module_of, typed

MOST_WITHOUT_A_GROUP = 7


def parse(*argv):
    parser = argparse.ArgumentParser()
    arguments.add_common_arguments(parser)
    return arguments.parse(parser, argv)


def test_cfg_options(monkeypatch):
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    options = parse('--cfg-options', 'a.b=1', 'c=[1,2]', 'd=None').cfg_options
    assert options == {'a.b': 1, 'c': [1, 2], 'd': None}


def test_cfg_options_without_equals_sign(capsys):
    with pytest.raises(SystemExit):
        parse('--cfg-options', 'a.b')
    assert "--cfg-options: 'a.b' is not KEY=VALUE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('argv', 'variable', 'expected'),
    [
        (['--local-rank', '3'], 'X', '3'),
        (['--launcher', 'slurm'], 'SLURM_LOCALID', '2'),
        (['--launcher', 'mpi'], 'OMPI_COMM_WORLD_LOCAL_RANK', '2'),
        (['--launcher', 'pytorch'], 'LOCAL_RANK', '2'),
    ],
)
def test_local_rank(argv, variable, expected, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', 'restored after the test')
    monkeypatch.delenv('LOCAL_RANK')
    monkeypatch.setenv(variable, '2')
    parse(*argv)
    assert os.environ['LOCAL_RANK'] == expected


@pytest.fixture
def answers(tmp_path):
    """A function that completes a line as a shell has argcomplete do it.

    In a process: argcomplete takes file descriptor 9, and ends the process.
    """
    pytest.importorskip('argcomplete', reason='argcomplete is not installed')

    def answer(line):
        out = tmp_path / 'completions'
        environment = {
            **os.environ,
            '_ARGCOMPLETE': '1',
            '_ARGCOMPLETE_IFS': ' ',
            '_ARGCOMPLETE_STDOUT_FILENAME': str(out),
            'COMP_LINE': line,
            'COMP_POINT': str(len(line)),
        }
        subprocess.run(
            [sys.executable, '-m', 'dropblock_mm'], env=environment, check=False
        )
        return out.read_text().split()

    return answer


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('dropblock-mm print-s', ['print-sites']),
        ('dropblock-mm train a.py --dropblock hr', ['hrnet']),
        ('dropblock-mm print-sites dropblock_mm::rtmdet/', ['rtmdet_l_dropblock']),
    ],
)
def test_a_shell_completes(answers, line, expected):
    found = answers(line)
    assert len(found) == len(expected)
    assert all(want in word for want, word in zip(expected, found, strict=True))


def test_configs_and_fragments_complete(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mine.py').touch()
    (tmp_path / 'more').mkdir()
    names = arguments.config_names('m')
    assert {'mine.py', 'more/', 'mmdet::', 'dropblock_mm::'} <= {*names}
    below = arguments.config_names('dropblock_mm::retina')
    assert 'dropblock_mm::_base_/dropblock/auto.py' in below
    assert arguments.config_names('no_such_package::a') == []
    assert {'auto', 'mine.py'} <= {*arguments.fragments_and_files('')}


@pytest.fixture
def parser_of(monkeypatch):
    """A function that returns a command's parser, as a shell's question gets it."""

    def parser(name):
        asked = []
        monkeypatch.setattr(arguments, 'complete', asked.append)
        with pytest.raises(SystemExit):
            importlib.import_module(module_of(name)).main(['--help'])
        (found,) = asked
        return found

    return parser


@pytest.mark.parametrize('name', PROGRAMS)
def test_every_command_can_be_completed(name, parser_of):
    assert typed(name) in parser_of(name).description


@pytest.mark.filterwarnings('default')
def test_a_warning_that_nobody_can_act_on_is_not_shown(recwarn):
    parse()
    warnings.warn('pkg_resources is deprecated as an API', UserWarning, stacklevel=1)
    assert not recwarn


def test_without_argcomplete_nothing_happens(monkeypatch):
    monkeypatch.setenv('_ARGCOMPLETE', '1')
    monkeypatch.setitem(sys.modules, 'argcomplete', None)
    assert arguments.complete(argparse.ArgumentParser()) is None


@pytest.mark.parametrize('name', PROGRAMS)
def test_every_command_shows_how_it_is_typed(name, capsys):
    with pytest.raises(SystemExit):
        importlib.import_module(module_of(name)).main(['--help'])
    said = capsys.readouterr().out
    assert f'{typed(name)} ' in said.partition('options:')[0].partition('\n\n')[2]


@pytest.mark.parametrize('name', PROGRAMS)
def test_help_is_in_groups_and_explains_every_option(name, parser_of):
    parser = parser_of(name)
    assert [action.dest for action in parser._actions if not action.help] == []
    assert len(parser._optionals._group_actions) <= MOST_WITHOUT_A_GROUP


@pytest.mark.parametrize('name', ['train', 'test', 'reproduce'])
def test_many_options_are_in_groups(name, capsys):
    with pytest.raises(SystemExit):
        importlib.import_module(module_of(name)).main(['--help'])
    said = capsys.readouterr().out
    assert 'the run:' in said
    assert 'processes:' in said or 'launcher:' in said
