"""Folders that go away in the middle of a training are one message."""

import errno
import os
import shutil

import pytest
import torch

from dropblock_mm.runs.lost_files import LostFilesError, naming_lost_files
from dropblock_mm.testing.toy import ToyImages


def raised(error, work_dir='run'):
    with pytest.raises(LostFilesError) as found, naming_lost_files(str(work_dir)):
        raise error
    return str(found.value)


@pytest.mark.parametrize('number', [errno.ENOENT, errno.EROFS, errno.EIO, errno.ESTALE])
def test_a_file_of_the_work_dir(tmp_path, number):
    path = tmp_path / 'run/a/scalars.json'
    said = raised(OSError(number, 'what', str(path)), tmp_path / 'run')
    assert said.startswith('training stopped, its work dir cannot be written any more.')
    assert f'{os.strerror(number)}: {str(path)!r}' in said
    assert '--resume' in said


@pytest.mark.parametrize('there', [True, False])
def test_data(tmp_path, there):
    """An empty folder is what is left of a mount."""
    folder = tmp_path / 'data'
    if there:
        folder.mkdir()
    said = raised(FileNotFoundError(2, 'what', str(folder / 'a.jpg')), tmp_path / 'run')
    assert 'files that it reads are not there any more' in said
    assert f'{str(folder)!r} is missing, empty or cannot be read' in said


def test_data_that_a_worker_reads(tmp_path):
    """Out of there comes another error, which quotes the first one."""

    class Images(torch.utils.data.Dataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return (tmp_path / 'data/a.jpg').read_bytes()

    loader = torch.utils.data.DataLoader(Images(), num_workers=1)
    with pytest.raises(LostFilesError, match=r'data/a\.jpg'), naming_lost_files('run'):
        next(iter(loader))


@pytest.mark.parametrize(
    'error',
    [
        FileNotFoundError(2, 'what', __file__ + '.no'),  # its folder is there
        FileNotFoundError('what'),
        OSError(errno.EBUSY, 'what', '/no/such/folder/a'),
        KeyError('what'),
    ],
)
def test_all_else_passes(error):
    with pytest.raises(type(error)) as found, naming_lost_files('run'):
        raise error
    assert found.value is error


def test_a_training_whose_folder_is_taken_away(
    refused, toy_config, tmp_path, monkeypatch
):
    images, left = ToyImages.__getitem__, [5]

    def take_away(self, index):
        left[0] -= 1
        if not left[0]:
            shutil.rmtree(tmp_path / 'run')
        return images(self, index)

    monkeypatch.setattr(ToyImages, '__getitem__', take_away)
    said = refused('train', toy_config, '--work-dir', str(tmp_path / 'run'))
    assert said.startswith('training stopped, its work dir cannot be written any more.')
    assert not list(tmp_path.glob('run/*.pth'))
