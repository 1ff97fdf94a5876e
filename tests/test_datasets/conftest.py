"""One small data set that the tests read and do not change."""

import builtins
import json
from pathlib import Path

import pytest


@pytest.fixture(scope='session')
def settings() -> dict[str, int]:
    """What `scenes` was made with."""
    return {'num_train': 12, 'num_val': 5, 'image_size': 96, 'seed': 3}


@pytest.fixture(scope='session')
def scenes(tmp_path_factory, settings) -> Path:
    pytest.importorskip('sklearn', reason='the scenes are made from its images')
    from dropblock_mm.datasets import make_digit_scenes

    return make_digit_scenes(tmp_path_factory.mktemp('data') / 'scenes', **settings)


@pytest.fixture(scope='session')
def coco(scenes) -> dict[str, dict]:
    """The annotations of 'train' and 'val', as plain dicts."""
    return {
        split: json.loads((scenes / f'annotations/instances_{split}.json').read_text())
        for split in ('train', 'val')
    }


@pytest.fixture(scope='session')
def bytes_of():
    """A function that reads a folder: relative path -> content."""

    def read(root: Path) -> dict[str, bytes]:
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in root.rglob('*')
            if path.is_file()
        }

    return read


@pytest.fixture
def no_sklearn(monkeypatch):
    """An environment in which `import sklearn` fails."""
    real_import = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.split('.')[0] == 'sklearn':
            raise ModuleNotFoundError("No module named 'sklearn'", name='sklearn')
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', refuse)
