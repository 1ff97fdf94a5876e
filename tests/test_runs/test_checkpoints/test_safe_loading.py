import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner.checkpoint import CheckpointLoader

from dropblock_mm.runs.checkpoints import safe_loading as safe
from dropblock_mm.testing.toy import toy_runner


class Hostile:
    """Unpickled the unsafe way, it creates a file."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f'touch {self.trace}',)


class Walker:
    """Reaches the builtins through nothing but ``getattr``."""

    def __reduce__(self):
        return getattr, (getattr, '__self__')


def write_zip(content, path):
    torch.save(content, path)


def write_legacy(content, path):
    torch.save(content, path, _use_new_zipfile_serialization=False)


def write_pickle(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


def write_new_pickle(content, path):
    path.write_bytes(pickle.dumps(content, protocol=4))


WRITERS = [write_zip, write_legacy, write_pickle, write_new_pickle]


@pytest.fixture
def safe_loading(monkeypatch):
    """As in the tools."""
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    safe.keep_loading_safe()


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A checkpoint as training leaves it, with numbers of NumPy in its log."""
    runner = toy_runner(tmp_path_factory.mktemp('toy'), [])
    runner.train()
    runner.message_hub.update_info('best_score', np.float32(0.5))
    runner.message_hub.update_info('counts', np.arange(3, dtype=np.int32))
    path = os.path.join(runner.work_dir, 'epoch_2.pth')
    runner.save_checkpoint(runner.work_dir, 'epoch_2.pth')
    return path


def test_mmengines_own_checkpoint_passes(trained, safe_loading):
    safe.check_checkpoint(trained, '--resume', resume=True)
    loaded = CheckpointLoader.load_checkpoint(trained, map_location='cpu')
    history = loaded['message_hub']['log_scalars']['train/loss']
    assert isinstance(history, HistoryBuffer)
    assert np.isfinite(history.statistics('mean'))
    assert loaded['message_hub']['runtime_info']['best_score'] == np.float32(0.5)


def test_the_list_is_needed(trained):
    with pytest.raises(pickle.UnpicklingError, match='Unsupported global'):
        torch.load(trained, weights_only=True)


def test_the_list_is_short_and_holds_no_way_out():
    named = [entry for entry in safe.mmengine_globals() if isinstance(entry, tuple)]
    assert ('builtins.getattr') in [name for _, name in named]
    callables = [e[0] if isinstance(e, tuple) else e for e in safe.mmengine_globals()]
    assert getattr not in callables
    assert np.dtype(object).__class__ not in callables


def test_numpy_1_and_2_names_are_known():
    names = [e[1] for e in safe.mmengine_globals() if isinstance(e, tuple)]
    for core in ('core', '_core'):
        assert f'numpy.{core}.multiarray._reconstruct' in names
        assert f'numpy.{core}.multiarray.scalar' in names


@pytest.mark.parametrize('write', WRITERS)
def test_hostile_pickle_is_refused(write, tmp_path, safe_loading):
    trace, path = tmp_path / 'trace', tmp_path / 'hostile.pth'
    write({'state_dict': {}, 'meta': Hostile(trace)}, path)
    with pytest.raises(ValueError, match=r'hostile\.pth') as refused:
        safe.check_checkpoint(str(path), 'load_from')
    if write is not write_new_pickle:  # of which torch reads no names
        assert 'posix.system' in str(refused.value)
    assert not trace.exists()


@pytest.mark.parametrize('write', WRITERS)
def test_hostile_pickle_really_is_hostile(write, tmp_path):
    trace, path = tmp_path / 'trace', tmp_path / 'hostile.pth'
    write({'state_dict': {}, 'meta': Hostile(trace)}, path)
    if write in (write_zip, write_legacy):
        torch.load(path, weights_only=False)
    else:
        pickle.loads(path.read_bytes())
    assert trace.exists()


@pytest.mark.parametrize('write', WRITERS)
def test_the_runners_own_load_is_safe_too(write, tmp_path, safe_loading):
    """Whatever the runner's loader falls back to: one stack retries unsafely."""
    trace, path = tmp_path / 'trace', tmp_path / 'hostile.pth'
    write({'state_dict': {}, 'meta': Hostile(trace)}, path)
    with pytest.raises(pickle.UnpicklingError):
        CheckpointLoader.load_checkpoint(str(path), map_location='cpu')
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=False)
    assert not trace.exists()


@pytest.mark.parametrize('write', [write_zip, write_legacy])
def test_getattr_answers_nothing_else(write, tmp_path, safe_loading):
    write({'meta': Walker()}, tmp_path / 'walker.pth')
    with pytest.raises(ValueError, match=r'builtins\.getattr'):
        safe.check_checkpoint(str(tmp_path / 'walker.pth'), 'load_from')


@pytest.mark.parametrize('kept', [0.0, 0.01, 0.5, 0.99])
def test_cut_short(kept, trained, tmp_path, safe_loading):
    with open(trained, 'rb') as file:
        content = file.read()
    path = tmp_path / 'epoch_1.pth'
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=r'--resume=.*epoch_1\.pth.*cut short'):
        safe.check_checkpoint(str(path), '--resume')


def test_not_a_checkpoint(tmp_path, safe_loading):
    (tmp_path / 'a.pth').write_text('<html>404</html>')
    with pytest.raises(ValueError, match=r"load_from='.*a\.pth' is .*not a checkpoint"):
        safe.check_checkpoint(str(tmp_path / 'a.pth'), 'load_from')


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"CHECKPOINT='no\.pth': no such file"):
        safe.check_checkpoint('no.pth', 'CHECKPOINT')


@pytest.mark.parametrize(
    'path', ['https://x.invalid/a.pth', 'openmmlab://resnet50', 's3://bucket/a.pth']
)
def test_remote_files_are_left_to_mmengine(path):
    safe.check_checkpoint(path, 'load_from')


def test_weights_alone_cannot_be_resumed(tmp_path):
    torch.save({'state_dict': {}}, tmp_path / 'weights.pth')
    safe.check_checkpoint(str(tmp_path / 'weights.pth'), 'load_from')
    with pytest.raises(ValueError, match=r"no 'meta' and no 'message_hub'"):
        safe.check_checkpoint(str(tmp_path / 'weights.pth'), '--resume', resume=True)
