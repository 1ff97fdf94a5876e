"""Segmentations are judged as mmdet and pycocotools take them."""

import numpy as np
import pycocotools.mask
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from dropblock_mm.data_checks.annotations import masks
from dropblock_mm.data_checks.annotations.masks import mask_of

SIDES = st.integers(1, 40)
numbers = st.integers(-50, 90) | st.floats(-50, 90)


@given(height=SIDES, width=SIDES, seed=st.integers(0, 99), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_run_lengths_that_pycocotools_writes(height, width, seed, share):
    drawn = np.random.default_rng(seed).random((height, width)) < share
    written = pycocotools.mask.encode(np.asfortranarray(drawn.astype(np.uint8)))
    text = written['counts'].decode()
    whole = dict(size=[height, width], counts=text)
    assert mask_of(whole) == masks.Mask(None, True, (height, width))
    cut = dict(size=[height, width + 1], counts=text)
    assert mask_of(cut).flaw is masks.WRONG_RUN_LENGTHS


@given(text=st.text('01:XPo~é ', max_size=12))
@settings(max_examples=60, deadline=None)
def test_any_text_is_judged(text):
    found = mask_of(dict(size=[9, 9], counts=text))
    assert found.flaw is masks.WRONG_RUN_LENGTHS or found.size == (9, 9)


@given(
    parts=st.lists(
        st.lists(numbers, max_size=9)
        | st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=4),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=100, deadline=None)
def test_pycocotools_reads_what_is_said_to_be_read(parts):
    coco = COCO()
    coco.imgs = {1: dict(height=30, width=30)}
    annotation = dict(image_id=1, segmentation=parts)
    if mask_of(parts).is_read:
        assert coco.annToMask(annotation).shape == (30, 30)
    else:
        with pytest.raises(Exception):  # noqa: B017, PT011 - it raises plain ones
            coco.annToMask(annotation)


@pytest.mark.parametrize(
    'wrong', [None, 'x', [1], float('nan'), float('inf'), 1e12, 10**400]
)
def test_no_numbers_near_an_image(wrong):
    """They end the process in pycocotools: it walks along every edge in C."""
    found = mask_of([[1.5, 1, 9, 1, 9, wrong]])
    assert found.flaw is masks.NOT_A_MASK
    assert not found.is_read


def test_what_is_judged_stays():
    sound = mask_of([[1, 1, 9, 1, 9, 9]])
    assert sound.is_sound
    assert mask_of(sound) is sound
    entry = dict(id=1, segmentation=[[1, 1, 9, 1, 9, 9]])
    assert masks.judge_masks(entry) == dict(id=1, segmentation=sound)
