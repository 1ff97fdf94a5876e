"""How a scene is drawn and described, without files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dropblock_mm.datasets.layouts import (
    VOC_BORDER,
    coco_annotation,
    dilate,
    run_lengths,
    voc_label_map,
)
from dropblock_mm.datasets.rendering import (
    CROP_SIDE,
    MIN_CONTRAST,
    choose_colour,
    covered_fraction,
    crop_photo,
    draw_digit,
    find_place,
    paste_digit,
)
from dropblock_mm.datasets.sources import split_digits, split_photo

MASKS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@given(MASKS)
def test_run_lengths_rebuild_the_mask(mask):
    lengths = run_lengths(mask)
    values = np.arange(len(lengths)) % 2 == 1
    rebuilt = np.repeat(values, lengths).reshape(mask.shape, order='F')
    assert np.array_equal(rebuilt, mask)
    assert all(length > 0 for length in lengths[1:])


@given(MASKS)
def test_annotation_says_the_same_thrice(mask):
    if not mask.any():
        return
    entry = coco_annotation(mask, annotation_id=1, image_id=2, label=7, digit=11)
    left, top, width, height = entry['bbox']
    window = mask[top : top + height, left : left + width]
    assert window.sum() == mask.sum() == entry['area']
    for side in (window[0], window[-1], window[:, 0], window[:, -1]):
        assert side.any()
    assert entry['category_id'] == 8
    assert entry['digit_index'] == 11


@given(MASKS)
def test_dilate_reaches_all_neighbours(mask):
    rows, columns = np.nonzero(dilate(mask))
    there = np.argwhere(mask)
    for row, column in zip(rows, columns, strict=True):
        assert np.abs(there - (row, column)).max(axis=1).min() <= 1
    assert dilate(mask).sum() >= mask.sum()


def test_border_is_the_ring_around_a_digit():
    mask = np.zeros((1, 5, 5), bool)
    mask[0, 2, 2] = True
    label_map = voc_label_map(mask, [4])
    assert label_map[2, 2] == 5
    assert (label_map == VOC_BORDER).sum() == 8
    assert (label_map == 0).sum() == 16


def test_touching_digits_keep_their_labels():
    masks = np.zeros((2, 4, 4), bool)
    masks[0, :, :2] = True
    masks[1, :, 2:] = True
    label_map = voc_label_map(masks, [0, 9])
    assert label_map.tolist() == [[1, 1, 10, 10]] * 4


def test_digit_is_trimmed_to_its_ink(rng):
    ink = np.zeros((8, 8), np.float32)
    ink[2:6, 3:5] = 1
    for _ in range(20):
        opacity = draw_digit(ink, 128, rng)
        assert opacity.min() >= 0
        assert opacity.max() <= 1
        solid = opacity >= 0.5
        for side in (solid[0], solid[-1], solid[:, 0], solid[:, -1]):
            assert side.any()


def test_pasting_changes_the_digit_and_no_more(rng):
    image = np.full((64, 64, 3), 128, np.uint8)
    opacity = np.ones((10, 6), np.float32)
    mask = paste_digit(image, opacity, (5, 7, 10, 6), rng)
    assert mask.sum() == 60
    assert mask[5:15, 7:13].all()
    assert (image[~mask] == 128).all()
    assert (image[mask] == image[5, 7]).all()


@pytest.mark.parametrize('behind', [0.0, 100.0, 255.0])
def test_colour_stands_out(rng, behind):
    for _ in range(100):
        colour = choose_colour(np.full(3, behind), rng)
        assert np.linalg.norm(colour - behind) > 0.7 * MIN_CONTRAST
        assert ((colour >= 0) & (colour <= 255)).all()


def test_covered_fraction_is_of_the_smaller_box():
    small, large = (0, 0, 4, 4), (2, 2, 100, 100)
    assert covered_fraction(small, large) == covered_fraction(large, small) == 0.25
    assert covered_fraction(small, (4, 0, 4, 4)) == 0
    assert covered_fraction(large, (50, 50, 3, 3)) == 1


def test_no_place_in_a_full_scene(rng):
    assert find_place((20, 20), [(0, 0, 64, 64)], 64, rng) is None
    assert find_place((64, 64), [], 64, rng) == (0, 0, 64, 64)


def test_crop_is_a_piece_of_the_photo(rng):
    ramp = np.tile(np.arange(200, dtype=np.uint8)[:, None, None], (1, 300, 3))
    for _ in range(10):
        crop = crop_photo(ramp, 64, rng)
        assert crop.shape == (64, 64, 3)
        assert CROP_SIDE[0] * 200 - 3 <= np.ptp(crop) <= CROP_SIDE[1] * 200


def test_photos_are_parted_without_overlap():
    photo = np.arange(40 * 60 * 3).reshape(40, 60, 3)
    train, val = split_photo(photo, 'train'), split_photo(photo, 'val')
    assert np.intersect1d(train, val).size == 0
    assert train.shape[1] + val.shape[1] == 60
    assert min(val.shape[:2]) >= 20


@given(st.integers(0, 1000))
def test_digits_are_parted_without_overlap(seed):
    labels = np.repeat(np.arange(10), 15)
    parts = split_digits(labels, seed)
    everything = np.concatenate(parts['train'] + parts['val'])
    assert sorted(everything) == list(range(150))
    for label in range(10):
        assert (labels[parts['train'][label]] == label).all()
        assert len(parts['val'][label]) == 3
