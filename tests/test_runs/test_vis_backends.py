"""A visualizer's backend that cannot start is one message, before training."""

import errno
import importlib.util

import pytest
from mmengine.config import Config
from mmengine.registry import VISBACKENDS
from mmengine.visualization import LocalVisBackend

from dropblock_mm.errors import RefusedStateError
from dropblock_mm.runs.vis_backends import naming_failed_backend


class FailingVisBackend(LocalVisBackend):
    def __init__(self, says='no connection', **options):
        super().__init__(**options)
        self.says = says

    def _init_env(self):
        super()._init_env()
        raise ConnectionError(self.says)


VISBACKENDS.register_module(name='FailingVisBackend', module=FailingVisBackend)


@pytest.fixture
def starts(refused, toy_config, tmp_path, monkeypatch):
    """A function that trains with a backend, and returns the message."""
    monkeypatch.chdir(tmp_path)

    def start(**backend):
        listed = [dict(type='LocalVisBackend'), backend]
        visualizer = dict(type='Visualizer', vis_backends=listed)
        with open(toy_config, 'a', encoding='utf-8') as file:
            file.write(f'\nvisualizer = {visualizer!r}\n')
        said = refused('train', toy_config, '--work-dir', str(tmp_path / 'run'))
        assert not (tmp_path / 'run').exists()
        return said

    return start


def test_a_service_that_cannot_be_reached(starts):
    said = starts(type='FailingVisBackend')
    key = "visualizer.vis_backends.1.type='FailingVisBackend'"
    assert said.startswith(f'{key} cannot start. ConnectionError: no connection. ')


@pytest.mark.parametrize('package', ['wandb', 'clearml', 'neptune', 'aim'])
def test_a_package_that_is_not_installed(starts, package):
    if importlib.util.find_spec(package):
        pytest.skip(f'{package} is installed')
    names = {'clearml': 'ClearML'}
    name = f'{names.get(package, package.title())}VisBackend'
    said = starts(type=name)
    assert said.startswith(f'visualizer.vis_backends.1.type={name!r} needs a package')
    assert package in said


def test_mlflow_without_leave_to_keep_files(starts, monkeypatch):
    """From 3.17 on MLflow refuses a store of files, unless it is told."""
    pytest.importorskip('mlflow', reason='mlflow-skinny is not installed')
    monkeypatch.delenv('MLFLOW_ALLOW_FILE_STORE', raising=False)
    said = starts(type='MLflowVisBackend')
    assert said.startswith("visualizer.vis_backends.1.type='MLflowVisBackend' cannot ")
    assert 'MLFLOW_ALLOW_FILE_STORE' in said


def test_an_argument_that_a_backend_does_not_have(starts):
    assert 'vis_backends.1.dirr' in starts(type='LocalVisBackend', dirr='a')


@pytest.mark.parametrize(
    ('says', 'words'), [('', 'ConnectionError: ConnectionError.'), ('a\n b!', 'a b! ')]
)
def test_what_is_said_is_one_line_and_never_empty(tmp_path, says, words):
    with (
        pytest.raises(
            RefusedStateError, match='the visualizer backend Failing'
        ) as said,
        naming_failed_backend(Config()),
    ):
        FailingVisBackend(says, save_dir=str(tmp_path)).experiment  # noqa: B018
    assert words in str(said.value)


def test_what_no_backend_raised_passes():
    with pytest.raises(ConnectionError), naming_failed_backend(Config()):
        raise ConnectionError


def test_a_full_disk_is_no_fault_of_a_backend(tmp_path, monkeypatch):
    def full(self):
        raise OSError(errno.ENOSPC, 'No space left on device')

    monkeypatch.setattr(FailingVisBackend, '_init_env', full)
    with pytest.raises(OSError, match='No space') as found, naming_failed_backend({}):
        FailingVisBackend(save_dir=str(tmp_path)).experiment  # noqa: B018
    assert not isinstance(found.value, RefusedStateError)
