"""What set-up makes of a torch that is there, by half or not at all."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tools.dev.environment.machine import SetUpError
from tools.dev.environment.torch_there import has_torch, probe_torch

PIN = 'torch==2.14.1'
HALF = 'from torch._C import gone'


class Environment:
    """Python alone, with the packages of one folder, and a pip that says this."""

    def __init__(self, folder, pip=''):
        self.venv, self.pip = folder, pip

    def ask(self, code):
        command = [sys.executable, '-S', '-c', code]
        folder = {'PYTHONPATH': str(self.venv)}
        return subprocess.run(command, capture_output=True, text=True, env=folder)

    def ask_pip(self, *args):
        assert args == ('check',)
        return SimpleNamespace(stdout=self.pip)


@pytest.fixture
def torch_of(tmp_path):
    """Makes a torch of this version (none: pip does not know of it) and content."""

    def make(version, content, pip=''):
        (tmp_path / 'torch').mkdir()
        (tmp_path / 'torch/__init__.py').write_text(content)
        if version:
            about = tmp_path / f'torch-{version}.dist-info/METADATA'
            about.parent.mkdir()
            about.write_text(
                f'Metadata-Version: 2.1\nName: torch\nVersion: {version}\n'
            )
        return Environment(tmp_path, pip)

    return make


@pytest.mark.parametrize('version', ['2.14.1', '2.14.1+cpu'])
def test_one_that_works_is_left_as_it_is(torch_of, version):
    assert has_torch(torch_of(version, ''), PIN)


@pytest.mark.parametrize('version', ['', '2.13.0'])
def test_one_that_pip_will_write_need_not_work(torch_of, version):
    assert not has_torch(torch_of(version, HALF), PIN)


def test_one_whose_needs_pip_will_install_need_not_work(torch_of):
    lacking = 'torch 2.14.1 requires sympy, which is not installed.\n'
    assert has_torch(torch_of('2.14.1', HALF, pip=lacking), PIN)


def test_half_a_torch_is_one_line_before_anything_is_installed(torch_of, tmp_path):
    environment = torch_of('2.14.1', HALF, pip='No broken requirements found.\n')
    for refused in (
        lambda: has_torch(environment, PIN),
        lambda: probe_torch(environment),
    ):
        with pytest.raises(SetUpError) as error:
            refused()
        assert str(error.value) == (
            f'torch cannot be imported in {tmp_path} (ModuleNotFoundError: No module '
            "named 'torch._C'); expected it to work. Install it again: "
            f'{tmp_path}/bin/python -m pip install --force-reinstall torch==2.14.1, '
            f'or remove {tmp_path} and run this again.'
        )
