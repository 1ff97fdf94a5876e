import argparse
import os

import pytest

from dropblock_mm.commands import arguments


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
