"""What is checked before mmcv is built for an environment of one's own."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from tools.dev import build_mmcv
from tools.dev.environment import mmcv_wheel
from tools.dev.environment.machine import SetUpError


class Environment:
    """Answers for an environment, and builds a wheel when pip is run."""

    def __init__(self, venv, tools=(0, ''), torch=0, **about):
        self.venv, self.tools, self.torch, self.labels = venv, tools, torch, []
        self.about = dict(gpu=False, forced=False, cuda=None, cuda_home=None) | about

    def ask(self, code):
        if code == mmcv_wheel.PROBE_TOOLS:
            return SimpleNamespace(
                returncode=self.tools[0], stdout=self.tools[1], stderr=''
            )
        about = json.dumps({'torch': '9', 'python': 'cp', **self.about})
        return SimpleNamespace(
            returncode=self.torch, stdout=about, stderr='no torch here'
        )

    def pip(self, label, *args, **extra_env):
        self.labels.append(label)
        folder = Path(args[args.index('--wheel-dir') + 1])
        (folder / 'mmcv-2.1.0-cp.whl').write_text('wheel')


@pytest.fixture
def build(monkeypatch, tmp_path):
    """Gives build_mmcv for an environment that answers so."""
    monkeypatch.setattr(build_mmcv, 'check_compiler', lambda: None)
    monkeypatch.setattr(build_mmcv, 'check_memory', lambda: None)
    monkeypatch.setattr(mmcv_wheel, 'prepared_source', lambda *args: Path('source'))

    def run(folder='wheels', **answers):
        environment = Environment(tmp_path / 'env', **answers)
        monkeypatch.setattr(build_mmcv, 'Steps', lambda *args: environment)
        return build_mmcv.build('openmmlab', tmp_path / folder)

    return run


def test_the_wheel_is_left_in_the_folder(build, tmp_path):
    wheel = build()
    assert wheel == tmp_path / 'wheels' / 'mmcv-2.1.0-cp.whl'
    assert wheel.read_text() == 'wheel'


def test_missing_tools_are_named_with_the_command(build):
    with pytest.raises(SetUpError, match=r'lacks setuptools<81, ninja; .*pip install'):
        build(tools=(1, 'setuptools<81, ninja\n'))


def test_an_environment_without_torch_is_refused(build):
    with pytest.raises(SetUpError, match=r'torch cannot be imported(.|\n)*no torch'):
        build(torch=1)


def test_a_folder_that_cannot_be_made_is_named(build, tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(SetUpError, match=r'file cannot be made'):
        build(folder='file')


def test_a_wheel_for_another_machines_gpu_is_kept_apart(build, monkeypatch, tmp_path):
    monkeypatch.setattr(mmcv_wheel, 'check_cuda', lambda torch: None)
    build(forced=True, cuda='13.0')
    assert (tmp_path / 'wheels/build-mmcv==2.1.0-cp-torch-9-cuda13.0').is_dir()
