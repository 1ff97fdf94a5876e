"""Masks at a model's sites: what the op drops, and others at the same rate."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropblock_mm.analysis.figures.over_image import draw_masks
from dropblock_mm.analysis.masks import MaskDraws
from dropblock_mm.analysis.sites.site_kinds import site_kinds, widest_drop
from dropblock_mm.analysis.sites.site_rows import MapRow, Report, SiteRow
from dropblock_mm.errors import RefusedValueError


def row(layer='DropBlock2d', size=(12, 9), keep_prob=0.8, target='layer4', **options):
    options = {'block_size': 3} if layer == 'DropBlock2d' and not options else options
    return SiteRow(
        module='layer4.0',
        place='conv1',
        kind='conv',
        target=target,
        layer=layer,
        keep_prob=keep_prob,
        settings=options,
        options=options,
        frozen=False,
        averaged=False,
        maps=[MapRow(16, *size, 0.9, {})],
    )


def kind_of(*args, **options):
    (found,) = site_kinds(Report('config', (32, 32), [row(*args, **options)], []))
    return found


@given(
    st.integers(1, 8),
    st.floats(0.3, 1.0),
    st.integers(0, 99),
    st.tuples(st.integers(4, 12), st.integers(4, 12)),
)
def test_blocks_begin_at_the_seeds(block, keep_prob, seed, size):
    kind = kind_of(size=size, block_size=block)
    masks = MaskDraws(kind, seed).at(keep_prob)
    sides = [min(block, side) for side in size]
    found = np.zeros_like(masks.own)
    for channel, i, j in zip(*np.nonzero(masks.seeds), strict=True):
        found[channel, i : i + sides[0], j : j + sides[1]] = True
    assert (masks.own == ~found).all()


@pytest.mark.parametrize(
    ('layer', 'options'),
    [
        ('DropBlock2d', {'block_size': 3}),
        ('DropBlock2d', {'block_size': 3, 'gamma_scale': 0.25, 'shared_mask': True}),
        ('Dropout', {'drop_scale': 0.5}),
        ('SpatialDropout', {}),
    ],
)
def test_masks_only_grow_as_keep_prob_falls(layer, options):
    draws = MaskDraws(kind_of(layer, **options), 3)
    steps = [draws.at(rate) for rate in (1.0, 0.95, 0.8, 0.5)]
    for name in ('own', 'dropout', 'spatial'):
        kept = [getattr(step, name) for step in steps]
        assert kept[0].all()
        assert all((b <= a).all() for a, b in itertools.pairwise(kept))
        assert kept[-1].sum() < kept[0].sum()


def test_the_others_keep_what_drop_block_is_expected_to():
    channels = 4000
    masks = MaskDraws(kind_of(), 0, channels).at(0.8)
    for kept in masks.by_method().values():
        shares = kept.mean(axis=(1, 2))
        bound = 5 * shares.std() / channels**0.5
        assert shares.mean() == pytest.approx(masks.expected, abs=bound)


def test_a_shared_mask_is_the_same_in_all_channels():
    masks = MaskDraws(kind_of(block_size=3, shared_mask=True), 1).at(0.7)
    assert (masks.own == masks.own[:1]).all()
    assert not masks.own.all()


def test_alike_sites_are_one_kind():
    rows = [row(), row(), row(size=(6, 6)), row(keep_prob=0.7), row('Dropout')]
    kinds = site_kinds(Report('config', (32, 32), rows, []))
    assert [kind.sites for kind in kinds] == [2, 1, 1, 1]
    assert kinds[0].label == 'layer4, 12 x 9'
    assert widest_drop(kinds) in kinds


def test_maps_must_be_known():
    bare = row()
    bare.maps.clear()
    with pytest.raises(RefusedValueError, match='size of no map is known: because'):
        site_kinds(Report('config', (32, 32), [bare], ['because']))


def test_what_nine_channels_keep_stands_beside_what_many_would():
    masks = MaskDraws(kind_of(), 0).at(0.95)
    figure = draw_masks(np.zeros((30, 30, 3), np.uint8), [masks], [masks, masks])
    titles = [panel.get_title() for panel in figure.subfigs[0].axes[1:]]
    assert len(titles) == 3
    assert all(f'(expected {masks.expected:.3f})' in title for title in titles)
    assert f'kept {masks.own.mean():.3f} ' in titles[0]
