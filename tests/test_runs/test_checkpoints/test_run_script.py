"""Scripts of others read MMEngine's checkpoints, and nothing that runs code."""

import os
import pickle
import sys

import pytest
import torch
from mmengine.logging import HistoryBuffer

from dropblock_mm.errors import RefusedFileError
from dropblock_mm.runs.checkpoints.run_script import main, run_script

SCRIPT = """
import sys
import beside, torch

torch.load(sys.argv[1])
with open(sys.argv[2], 'w') as file:
    file.write(f'{__name__} {beside.name}')
"""


class Hostile:
    """Unpickled the unsafe way, it creates a file."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f'touch {self.trace}',)


@pytest.fixture
def script(tmp_path, monkeypatch, load_tool):
    """A script with a module beside it; `load_tool` undoes what running changes."""
    monkeypatch.setattr(sys, 'argv', [*sys.argv])
    monkeypatch.setattr(sys, 'path', ['', *sys.path])
    folder = tmp_path / 'scripts'
    folder.mkdir()
    (folder / 'beside.py').write_text("name = 'beside'")
    (folder / 'script.py').write_text(SCRIPT)
    return str(folder / 'script.py')


def test_it_reads_what_a_runner_saves(script, tmp_path):
    checkpoint, out = tmp_path / 'a.pth', tmp_path / 'out.txt'
    torch.save({'message_hub': HistoryBuffer([1.0], [1])}, checkpoint)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(checkpoint, weights_only=True)
    run_script([script, str(checkpoint), str(out)])
    assert out.read_text() == '__main__ beside'


def test_it_refuses_what_runs_code(script, tmp_path):
    checkpoint, trace = tmp_path / 'a.pth', tmp_path / 'trace'
    torch.save({'a': Hostile(trace)}, checkpoint)
    with pytest.raises(pickle.UnpicklingError):
        run_script([script, str(checkpoint), str(tmp_path / 'out.txt')])
    assert not trace.exists()


@pytest.mark.parametrize('argv', [[], ['nowhere.py', 'a.pth']])
def test_a_script_that_is_not_there_is_named(argv):
    with pytest.raises(RefusedFileError, match=r'is no file\. Give the script'):
        run_script(argv)


def test_it_ends_in_one_message_without_a_script(monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['run_script'])
    with pytest.raises(SystemExit, match='2'):
        main()
    assert capsys.readouterr().err.startswith("error: '' is no file. Give the script")


def test_it_tells_its_usage(monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['run_script', '--help'])
    main()
    assert 'run_script SCRIPT.py ARGUMENTS' in capsys.readouterr().out
