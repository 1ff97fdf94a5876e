"""Published files are read by bare torch, and hold the weights and the classes."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import ConfigDict
from mmengine.hooks import EMAHook
from mmengine.logging import HistoryBuffer
from torch import nn

from dropblock_mm.errors import RefusedFileError, RefusedValueError
from dropblock_mm.runs.checkpoints.publishing import plain, publish
from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    """What a Runner saves, in short: more than bare torch reads."""
    monkeypatch.setenv('TORCH_FORCE_WEIGHTS_ONLY_LOAD', '0')
    path = tmp_path / 'epoch_3.pth'
    content = {
        'state_dict': {'a.weight': torch.arange(4.0), 'a.count': torch.tensor(7)},
        'ema_state_dict': {'module.a.weight': torch.ones(4), 'steps': torch.tensor(1)},
        'optimizer': {'state': {0: torch.zeros(4)}},
        'message_hub': {'log': HistoryBuffer([1.0], [1])},
        'meta': {
            'epoch': 3,
            'dataset_meta': ConfigDict(
                classes=('cat', 'dog'), palette=np.zeros((2, 3), np.uint8)
            ),
            'cfg': 'model = dict()',
        },
    }
    torch.save(content, path)
    return path


def bare(path):
    """Load as stock libraries do: nothing is allowed beyond torch's own list."""
    torch.serialization.clear_safe_globals()
    return torch.load(path, weights_only=True)


def test_bare_torch_reads_what_is_published(checkpoint):
    with pytest.raises(Exception, match='Weights only load failed'):
        bare(checkpoint)
    keep_loading_safe()
    out = publish(str(checkpoint), None)
    assert out.parent == checkpoint.parent
    assert len(out.stem.removeprefix('epoch_3-')) == 8
    content = bare(out)
    assert content['meta'] == {
        'epoch': 3,
        'dataset_meta': {'classes': ('cat', 'dog'), 'palette': [[0, 0, 0]] * 2},
    }
    assert set(content) == {'state_dict', 'meta'}
    assert torch.equal(content['state_dict']['a.weight'], torch.arange(4.0))
    assert content['state_dict']['a.count'] == 7


@pytest.mark.parametrize(('ema', 'found'), [(None, 0), (True, 0), (False, 1)])
def test_averaged_weights_are_where_mmengine_puts_them(tmp_path, ema, found):
    """mmengine 0.10.7, EMAHook.before_save_checkpoint: state_dict is the average."""
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    hook, runner = EMAHook(), SimpleNamespace(model=model, iter=0, epoch=0)
    hook.before_run(runner)
    nn.init.ones_(model.weight)  # as an optimizer would: the average stays behind
    checkpoint = {'state_dict': model.state_dict()}
    hook.before_save_checkpoint(runner, checkpoint)
    torch.save(checkpoint, tmp_path / 'saved.pth')
    out = publish(str(tmp_path / 'saved.pth'), tmp_path / 'new/out.pth', ema=ema)
    ((name, value),) = bare(out)['state_dict'].items()
    assert (name, value) == ('weight', found)


def test_weights_without_an_average_are_those_of_the_optimizer(tmp_path):
    torch.save({'state_dict': {'a': torch.ones(1)}}, tmp_path / 'plain.pth')
    out = publish(str(tmp_path / 'plain.pth'), None, ema=False)
    assert bare(out)['state_dict'] == {'a': torch.ones(1)}


def test_what_cannot_be_published_is_refused(checkpoint, tmp_path):
    keep_loading_safe()
    with pytest.raises(RefusedFileError, match='no such file'):
        publish(str(tmp_path / 'absent.pth'), None)
    with pytest.raises(RefusedValueError, match='is the checkpoint itself'):
        publish(str(checkpoint), checkpoint)
    torch.save({'state_dict': {'a': torch.ones(1)}}, tmp_path / 'plain.pth')
    with pytest.raises(RefusedValueError, match='no averaged weights'):
        publish(str(tmp_path / 'plain.pth'), None, ema=True)
    torch.save({'state_dict': {}}, tmp_path / 'empty.pth')
    with pytest.raises(RefusedValueError, match='holds no weights'):
        publish(str(tmp_path / 'empty.pth'), None)


LEAVES = st.none() | st.booleans() | st.integers() | st.sampled_from(['', 'a'])


@given(
    st.recursive(
        LEAVES,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.tuples(inner, inner)
            | st.dictionaries(st.sampled_from('ab'), inner, max_size=2)
        ),
        max_leaves=6,
    )
)
def test_plain_values_stay_as_they_are(value):
    assert plain(value) == value
    assert type(plain(value)) is type(value)


def test_other_values_become_plain():
    given_ = {'a': np.float32(1.5), 'b': {1, 2}, 'c': torch.Size([1]), 'd': int}
    assert plain(given_) == {'a': 1.5, 'b': (1, 2), 'c': (1,), 'd': "<class 'int'>"}
