"""A refused run leaves the folder as it was, and never takes what is another's."""

import errno
import logging

import pytest

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.checkpoints.traces import Traces


def start_and_be_refused(folder, traces, unless=lambda: False):
    """What a Runner writes before it is refused."""

    def start():
        (folder / '20260101_120000/vis_data').mkdir(parents=True, exist_ok=True)
        (folder / 'a.py').write_text('model = 1')
        (folder / 'training.lock').touch()
        raise RefusedValueError('no')

    with pytest.raises(RefusedValueError), traces.gone_if_refused(unless):
        start()


def test_nothing_is_left(tmp_path):
    folder = tmp_path / 'work_dirs/run'
    start_and_be_refused(folder, Traces(str(folder), 'configs/a.py'))
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_stays(tmp_path):
    (tmp_path / '20250101_120000').mkdir()
    (tmp_path / 'epoch_1.pth').touch()
    traces = Traces(str(tmp_path), 'a.py')
    (tmp_path / 'epoch_2.pth').touch()  # of a run that is at work there
    start_and_be_refused(tmp_path, traces)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == ['20250101_120000', 'epoch_1.pth', 'epoch_2.pth']


def test_a_run_that_began_keeps_its_log(tmp_path):
    start_and_be_refused(tmp_path, Traces(str(tmp_path), 'a.py'), lambda: True)
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_no_refusal_leaves_all(tmp_path):
    traces = Traces(str(tmp_path / 'run'))
    (tmp_path / 'run/20260101_120000').mkdir(parents=True)
    with pytest.raises(KeyError), traces.gone_if_refused():
        raise KeyError('a bug')
    assert (tmp_path / 'run/20260101_120000').is_dir()


def test_a_full_disk_does_not_keep_a_log_open(tmp_path, monkeypatch):
    def refuse(self):
        logging.Handler.close(self)
        raise OSError(errno.ENOSPC, 'No space left on device')

    handler = logging.FileHandler(tmp_path / 'run.log')
    logging.getLogger().addHandler(handler)
    stream = handler.stream
    monkeypatch.setattr(logging.FileHandler, 'close', refuse)
    start_and_be_refused(tmp_path, Traces(str(tmp_path), 'a.py'))
    assert handler not in logging.getLogger().handlers
    stream.close()
