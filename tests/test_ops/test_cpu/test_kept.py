"""Masks that stay in memory for backward: found where they serve, and drawn again."""

import ctypes
import itertools
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dropblock_mm import DropBlock2d
from dropblock_mm.ops.cpu import native, sparse, torch_loops
from dropblock_mm.ops.cpu.sparse import AGAIN, KEEP, ONCE
from dropblock_mm.ops.plan import BlockGeometry, Draw, Recipe, Way

pytestmark = [
    pytest.mark.skipif(
        not native.IS_BUILT, reason='dropblock_mm was installed without a C compiler'
    ),
    pytest.mark.usefixtures('variants'),
]
LAYOUTS = [False, True]  # whether channels lie behind each other


@pytest.fixture(autouse=True)
def threads():
    """Leave the number of threads as it was."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def ones(shape, channels_last):
    """Return ones whose channels lie behind each other, in any number of dimensions."""
    if not channels_last:
        return torch.ones(shape)
    images, channels, *size = shape
    return torch.ones(images, *size, channels).movedim(-1, 1)


def dropped(draw, channels_last, use):
    """Return where a draw drops; a kernel's output says so."""
    images, channels, *size = draw.geometry.shape
    shape = (images, channels * draw.geometry.shared_over, *size)
    out, count = sparse.scale_and_clear(ones(shape, channels_last), draw, use)
    assert count == int((out == 0).sum())
    return out == 0


def spoil():
    """Set all bits of what is kept."""
    address, size = native.loops.kept_memory()
    assert size == 4 << 20
    ctypes.memset(address, 255, size)


keys = itertools.count()


def small(shape=(2, 64, 9, 9), block=(2, 3), key=None):
    """Return a draw; what another test kept has another key."""
    key = next(keys) if key is None else key
    return Draw.of(BlockGeometry(shape, block), 0.05, key)


@pytest.mark.parametrize('first', LAYOUTS)
@pytest.mark.parametrize('then', LAYOUTS)
@pytest.mark.parametrize('block', [(2, 3), (1, 1), (9, 9)])
def test_what_is_kept_is_taken_unless_it_was_turned_for_another(first, then, block):
    draw = small(block=block)
    expected, _ = torch_loops.draw_mask(draw)
    assert torch.equal(dropped(draw, first, KEEP), expected)
    assert torch.equal(dropped(draw, then, AGAIN), expected)
    spoil()
    found, _ = sparse.scale_and_clear(ones((2, 64, 9, 9), then), draw, AGAIN)
    is_turned = first and block != (9, 9)  # whole planes have one bit
    if is_turned and not then:
        assert torch.equal(found == 0, expected)
    else:
        assert not found.any()


@pytest.mark.parametrize('first', LAYOUTS)
@pytest.mark.parametrize('then', LAYOUTS)
def test_a_mask_in_bytes_is_taken_alike(first, then):
    draw = small()
    expected, count = torch_loops.draw_mask(draw)
    for use, channels_last in ((KEEP, first), (AGAIN, then)):
        mask, number = sparse.draw_mask(draw, use, channels_last)
        assert torch.equal(mask, expected)
        assert number == count
    assert torch.equal(dropped(draw, then, AGAIN), expected)
    spoil()
    found, _ = sparse.draw_mask(draw, AGAIN, then)
    assert torch.equal(found, expected) if first and not then else found.all()


def test_turned_bits_of_few_channels_are_not_kept():
    """They take a word of 64 bits for each unit."""
    draw = small((2, 3, 9, 9))
    expected = dropped(draw, True, KEEP)
    spoil()
    found, _ = sparse.scale_and_clear(ones((2, 3, 9, 9), False), draw, AGAIN)
    assert not found.any()  # so they were as a contiguous input has them
    assert torch.equal(dropped(draw, False, ONCE), expected)


@pytest.mark.parametrize('channels', [64, 100])
def test_a_mask_that_leaves_no_room_for_turned_bits_is_kept_as_it_is(channels):
    """Of 3 MiB, or of 5, which is not kept at all."""
    draw = small((1, channels, 625, 625), (7, 7))
    expected, _ = sparse.draw_mask(draw, KEEP, channels_last=True)
    for channels_last in (False, True):
        found, _ = sparse.draw_mask(draw, AGAIN, channels_last)
        assert torch.equal(found, expected)
    spoil()
    found, _ = sparse.draw_mask(draw, AGAIN)
    assert found.all() if channels == 64 else torch.equal(found, expected)


def test_seeds_that_are_given_are_not_kept():
    geometry = BlockGeometry((2, 64, 9, 9), (2, 3))
    for share in (0.05, 0.1):
        draw = Draw.given(geometry, torch.rand(geometry.grid_shape) < share)
        expected, _ = torch_loops.draw_mask(draw)
        for use in (KEEP, AGAIN):
            assert torch.equal(dropped(draw, True, use), expected)


def test_turned_bits_serve_as_many_images_and_channels_alone():
    """The planes of both are the same ones, but not what lies behind each other."""
    shapes = (2, 64, 9, 9), (1, 128, 9, 9)
    for first, then in (shapes, shapes[::-1]):
        key = next(keys)
        expected = dropped(small(first, key=key), True, KEEP)
        found = dropped(small(then, key=key), True, AGAIN)
        assert torch.equal(found.reshape(-1, 81), expected.reshape(-1, 81))


@settings(max_examples=60)
@given(st.data())
def test_every_mask_is_the_same_whatever_was_kept(all_draws, variants, data):
    """Of all geometries, in any order of layouts, for any number of threads."""
    draw = data.draw(all_draws)
    images, channels, *size = draw.geometry.shape
    shape = (images, channels * draw.geometry.shared_over, *size)
    expected, _ = torch_loops.draw_mask(draw)
    expected = expected.expand(shape)
    uses = st.lists(
        st.tuples(st.sampled_from([KEEP, AGAIN]), st.booleans(), st.integers(1, 3)),
        min_size=2,
        max_size=6,
    )
    for use, channels_last, threads in data.draw(uses):
        native.use_instructions(data.draw(st.sampled_from(variants)))
        torch.set_num_threads(threads)
        assert torch.equal(dropped(draw, channels_last, use), expected)


@pytest.mark.parametrize('channels', [64, 70, 130, 520, 4160])
@pytest.mark.parametrize('numbers', [(1, 2), (2, 1), (3, 5)])
def test_backward_may_have_other_threads_than_forward(channels, numbers):
    layer = DropBlock2d(keep_prob=0.7, block_size=3)
    shape = 2, channels, 30, 41
    torch.manual_seed(0)
    expected = layer(ones(shape, channels_last=False))
    x = ones(shape, channels_last=True).requires_grad_()
    torch.set_num_threads(numbers[0])
    torch.manual_seed(0)
    out = layer(x)
    assert torch.equal(out, expected)
    torch.set_num_threads(numbers[1])
    (grad,) = torch.autograd.grad(out, x, torch.ones_like(out))
    assert grad.stride() == out.stride()
    assert torch.equal(grad, out)


@pytest.mark.parametrize('between', [0, 1, 70, 'large'])
@pytest.mark.parametrize('layouts', [(True, True), (True, False), (False, True)])
def test_turned_masks_are_found_or_drawn_again(between, layouts):
    """Of 64 masks and 4 MiB only the last are kept, and any others come between."""
    layer = DropBlock2d(keep_prob=0.7, block_size=3)
    shape = (2, 64, 20, 20) if between != 'large' else (4, 64, 128, 128)
    number = 9 if between == 'large' else between
    leaves = [ones((2, 70, 20, 20), layouts[0]).requires_grad_()]
    leaves += [
        ones(shape, (k + layouts[0]) % 2).requires_grad_() for k in range(number)
    ]
    outs = [layer(leaf) for leaf in leaves]
    for leaf, out in zip(leaves, outs, strict=True):  # the oldest first
        grad = ones(out.shape, layouts[1])
        for _ in range(2):
            (found,) = torch.autograd.grad(out, leaf, grad, True)
            assert torch.equal(found, out)


def test_python_threads_may_keep_at_once():
    torch.set_num_threads(2)
    draws = [small((4, 128, 40, 40), (7, 7)) for _ in range(8)]
    expected = [torch_loops.draw_mask(draw)[0] for draw in draws]
    right = [0] * len(draws)

    def work(k):
        for turn in range(6):
            use = KEEP if turn % 2 == 0 else AGAIN
            right[k] += torch.equal(dropped(draws[k], k % 3 > 0, use), expected[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(draws))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert right == [6] * len(draws)


def test_ways_to_draw_are_told_apart_where_bits_are_turned():
    for way in (Way.GAPS, Way.BITS):
        recipe = Recipe(BlockGeometry((2, 64, 9, 9), (2, 3)), 0.05, way)
        draw = Draw(recipe, next(keys))
        expected, _ = torch_loops.draw_mask(draw)
        for use in (AGAIN, KEEP, AGAIN):
            assert torch.equal(dropped(draw, True, use), expected)
