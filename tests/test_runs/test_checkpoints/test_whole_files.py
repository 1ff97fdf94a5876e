import errno
import logging
import os

import pytest
from mmengine.fileio import get_file_backend

from dropblock_mm.runs.checkpoints import whole_files
from dropblock_mm.runs.checkpoints.whole_files import (
    DiskFullError,
    naming_full_disk,
    write_whole,
)


def fail(code):
    def call(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return call


def test_write_and_replace(tmp_path):
    path = tmp_path / 'new folder' / 'a.pth'
    for content in (b'first', b'2'):
        write_whole(content, path)
        assert path.read_bytes() == content
    assert os.listdir(path.parent) == ['a.pth']


def test_mmengine_finds_it(tmp_path):
    backend = get_file_backend(backend_args={'backend': whole_files.BACKEND})
    backend.put(b'content', str(tmp_path / 'a.pth'))
    assert (tmp_path / 'a.pth').read_bytes() == b'content'


def test_a_full_disk(tmp_path):
    """The system itself says so: whatever is written to /dev/full does not fit."""
    path = tmp_path / 'a.pth'
    path.write_bytes(b'earlier')
    (tmp_path / 'a.pth.part').symlink_to('/dev/full')
    with pytest.raises(DiskFullError) as error:
        write_whole(bytes(12_000_000), path)
    assert f"'{path}' was not written (No space left on device)" in str(error.value)
    assert 'it needs 12.0 MB' in str(error.value)
    assert path.read_bytes() == b'earlier'
    assert os.listdir(tmp_path) == ['a.pth']


@pytest.mark.parametrize('code', [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_says_so_late(tmp_path, monkeypatch, code):
    monkeypatch.setattr(os, 'fsync', fail(code))
    with pytest.raises(DiskFullError):
        write_whole(b'content', tmp_path / 'a.pth')
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_fsync(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'fsync', fail(errno.EINVAL))
    write_whole(b'content', tmp_path / 'a.pth')
    assert (tmp_path / 'a.pth').read_bytes() == b'content'


def test_other_errors_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'replace', fail(errno.EIO))
    with pytest.raises(OSError, match='Input/output error') as error:
        write_whole(b'content', tmp_path / 'a.pth')
    assert not isinstance(error.value, DiskFullError)


def test_every_full_disk_is_named():
    """Also where a log is written."""
    with (
        pytest.raises(DiskFullError, match=r"--resume goes on in 'runs/a'"),
        naming_full_disk('runs/a'),
        open('/dev/full', 'w') as file,
    ):
        file.write('a line of the log')


@pytest.mark.parametrize('error', [ValueError('a'), FileNotFoundError(2, 'b', 'c')])
def test_nothing_else_is(error):
    with pytest.raises(type(error)) as raised, naming_full_disk('runs/a'):
        raise error
    assert raised.value is error


def test_the_log_is_silent_where_it_cannot_be_written(capsys):
    """Logging would print a traceback for each of its lines."""
    logger = logging.Logger('a')
    with open('/dev/full', 'w') as file:
        logger.addHandler(logging.StreamHandler(file))
        with naming_full_disk('runs/a'):
            logger.error('a line')
        assert capsys.readouterr().err == ''
        logger.error('another line')
        assert 'No space left' in capsys.readouterr().err
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
