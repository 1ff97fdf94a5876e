from collections import OrderedDict, defaultdict, deque

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer

from dropblock_mm.runs.checkpoints.readable import refuse_unreadable, unreadable_parts


class Own:
    """A class that no reader knows."""


def places(checkpoint):
    return [part.place for part in unreadable_parts(checkpoint)]


def test_what_can_be_read():
    log = HistoryBuffer()
    log.update(1.0)
    checkpoint = {
        'state_dict': OrderedDict(a=torch.ones(3), b=torch.nn.Parameter(torch.ones(1))),
        'meta': dict(epoch=1, dataset_meta=ConfigDict(classes=('a',), c=dict(d=1))),
        'message_hub': dict(log_scalars=dict(loss=log), runtime_info={}),
        'x': [np.float32(1), (1, 'a', None), {1, 2}],
    }
    assert places(checkpoint) == []
    refuse_unreadable(checkpoint)


@pytest.mark.parametrize(
    'value', [Own(), Own, deque([1]), defaultdict(list, a=[1]), lambda: 0]
)
def test_the_innermost_part_is_named(value):
    checkpoint = {'a': {'b': [1, (2, value)], 'c': torch.ones(1)}, 'd': [value]}
    assert places(checkpoint) == ["['a']['b'][1][1]", "['d'][0]"]


def test_inside_a_config():
    assert places(ConfigDict(a=dict(b=Own()))) == ["['a']['b']"]


def test_a_structure_that_holds_itself():
    inner = [1]
    inner.append(inner)
    assert places({'a': inner, 'b': Own()}) == ["['b']"]


def test_weights_are_not_written(monkeypatch):
    written = []
    save = torch.save
    monkeypatch.setattr(
        torch, 'save', lambda value, file: (written.append(value), save(value, file))
    )
    assert places({'w': torch.ones(1000, 1000), 'n': [torch.ones(9)]}) == []
    assert written == [{'w': None, 'n': [None]}]


def test_the_list_is_left_as_it_was():
    before = set(torch.serialization.get_safe_globals())
    places({'a': Own()})
    assert set(torch.serialization.get_safe_globals()) == before


def test_a_class_that_was_allowed():
    torch.serialization.add_safe_globals([Own])
    assert places({'a': Own()}) == []


def test_who_loads_unsafely_is_not_refused(monkeypatch):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')
    assert places({'a': Own()}) == []


@pytest.mark.parametrize(
    ('checkpoint', 'said'),
    [
        ({'meta': {'dataset_meta': {'a': Own()}}}, 'metainfo of train_dataloader'),
        ({'message_hub': {'runtime_info': {'a': Own()}}}, 'resumed=False'),
        ({'hook': Own()}, r'add_safe_globals\(\[Class\]\)'),
    ],
)
def test_the_refusal_says_what_to_do(checkpoint, said):
    with pytest.raises(ValueError, match=said) as refused:
        refuse_unreadable(checkpoint)
    assert 'test_readable.Own' in str(refused.value)
