"""The one way in which mmseg is told to what size it pads images."""

import pytest
import torch
from mmengine.config import Config

from dropblock_mm.runs.padded_batches import check_padding

ONE = dict(size=(8, 8))
BOTH = dict(size=(8, 8), size_divisor=4)
OTHER = dict(size=None, size_divisor=4)
NEITHER = dict(size=None)


def config(kind='SegDataPreProcessor', **settings):
    return Config(dict(model=dict(data_preprocessor=dict(type=kind, **settings))))


@pytest.mark.parametrize('kind', ['SegDataPreProcessor', 'mmseg.SegDataPreProcessor'])
@pytest.mark.parametrize(
    ('settings', 'said'),
    [
        (BOTH, r'size=\(8, 8\) and size_divisor=4, .* Set one of them to None'),
        (NEITHER, 'neither size nor size_divisor, .* Give one of them'),
    ],
)
def test_both_and_neither_are_refused_where_they_are_used(kind, settings, said):
    with pytest.raises(ValueError, match=rf'^model\.data_preprocessor has {said}'):
        check_padding(config(kind, **settings), trains=True)
    check_padding(config(kind, **settings), trains=False)
    for trains in (True, False):
        with pytest.raises(ValueError, match=r'preprocessor\.test_cfg has .*'):
            check_padding(
                config(kind, **ONE, test_cfg=settings | {'a': 1}), trains=trains
            )


@pytest.mark.parametrize('settings', [ONE, OTHER, ONE | dict(test_cfg=OTHER)])
def test_one_way_is_right(settings):
    check_padding(config(**settings), trains=True)
    check_padding(config(**settings | dict(test_cfg=None)), trains=True)


def test_other_preprocessors_and_none_are_left_alone():
    check_padding(config('DetDataPreprocessor', **BOTH), trains=True)
    check_padding(Config(dict(model=dict(type='ToyModel'))), trains=True)


@pytest.mark.parametrize('settings', [ONE, OTHER, BOTH, NEITHER])
@pytest.mark.parametrize('trains', [True, False])
def test_mmseg_takes_what_is_let_through_and_nothing_else(trains, settings):
    mmseg = pytest.importorskip('mmseg', reason='it is mmseg that is asked')
    from mmseg.models import SegDataPreProcessor
    from mmseg.structures import SegDataSample

    assert mmseg
    # An empty test_cfg pads nothing, so there is a key that says nothing.
    given = settings if trains else ONE | dict(test_cfg=settings | {'a': 1})
    batch = dict(inputs=[torch.ones(3, 6, 6)], data_samples=[SegDataSample()])
    right = settings in (ONE, OTHER)
    for ask in (
        lambda: check_padding(config(**given), trains=trains),
        lambda: SegDataPreProcessor(**given)(batch, training=trains),
    ):
        if right:
            ask()
        else:
            with pytest.raises((ValueError, AssertionError), match='size_divisor'):
                ask()
