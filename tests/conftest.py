"""Fixtures that several test files share."""

import os
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

# Where there is no GPU, Triton's kernels run in its interpreter. Triton asks once,
# when the kernels are defined.
if not torch.cuda.is_available():
    os.environ.setdefault('TRITON_INTERPRET', '1')

REPO_ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope='session')
def repo_root() -> Path:
    return REPO_ROOT


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """The folder of real sample data sets, which are not part of the repository."""
    default = REPO_ROOT.parent / 'shared' / 'data'
    folder = Path(os.environ.get('DROPBLOCK_MM_TEST_DATA', default))
    if not folder.is_dir():
        pytest.skip(
            f'no sample data at {folder}; set DROPBLOCK_MM_TEST_DATA to the folder '
            'that holds coco_tiny/, bccd/ and voc2012_mini/'
        )
    return folder


def pytest_configure() -> None:
    # The tensors of the tests are so small that threads only get in their way.
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_default_scope(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin as a new process does: a Runner sets the scope of all that follows."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())
