"""The compilers' operators in C: they do what those in Python do, and own nothing."""

import ctypes
import gc
import platform
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from dropblock_mm.ops import traced
from dropblock_mm.ops.cpu import operators

pytestmark = pytest.mark.skipif(
    not traced.IS_IN_C, reason='needs the loops in C, and torch 2.13 under Linux'
)
CALLS = torch.ops.dropblock_mm
CASES = [  # shape, block, channels_last
    ([2, 64, 40, 40], [16, 16], True),
    ([2, 64, 40, 40], [7, 3], False),
    ([3, 1, 9, 8], [9, 8], True),
    ([3, 5, 9, 1], [1, 1], True),
    ([2, 4, 30], [5], False),
    ([1, 2, 5, 6, 7], [2, 2, 2], False),
]


def assert_same_as_in_python(gamma, key, shape, block, channels_last):
    arguments = torch.tensor(gamma), torch.tensor(key), shape, block, channels_last
    expected, expected_kept = traced._drop_mask_on_cpu(*arguments)
    mask, kept = CALLS.drop_mask(*arguments)
    for found in (mask, CALLS.drop_mask_again(*arguments)):
        assert torch.equal(found, expected)
        assert found.dtype == expected.dtype
        assert found.stride() == expected.stride()
    assert kept.dtype == torch.int64
    assert kept.shape == ()
    assert kept.item() == expected_kept.item() == (mask == 0).sum().item()


@pytest.mark.parametrize(('shape', 'block', 'channels_last'), CASES)
def test_masks_are_those_of_the_operators_in_python(shape, block, channels_last):
    for gamma in (0.0, 1e-16, 1e-4, 0.01, 0.3, 0.9, 1.0):
        for key in (0, 7919, 2**63 - 2):
            assert_same_as_in_python(gamma, key, shape, block, channels_last)


def test_more_shapes_than_it_remembers():
    for side in range(2, 302):
        assert_same_as_in_python(0.1, side, [1, 2, side], [2], False)


def test_threads_may_meet_new_shapes_at_once():
    def draw(number):
        assert_same_as_in_python(0.1, number, [1, 3, 5 + number % 40, 11], [3, 2], True)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(draw, range(400)))


def ask_for(
    gamma=0.1, dtype=torch.float32, shape=(2, 3, 9, 8), block=(3, 3), last=False
):
    gamma = torch.tensor(gamma, dtype=dtype)
    return CALLS.drop_mask(gamma, torch.tensor(3), shape, block, last)


@pytest.mark.parametrize(
    ('wrong', 'message'),
    [
        (dict(dtype=torch.float64), 'gamma is to be a float32'),
        (dict(block=(3,)), 'block as long as size'),
        (dict(shape=(2, 3), block=()), 'shape is to be'),
        (dict(shape=(2, 3, 9), block=(3,), last=True), 'channels_last of maps'),
        (dict(block=(10, 3)), r'blocks of \(10, 3\) do not fit maps of \(9, 8\)'),
        (dict(block=(0, 3)), r'blocks of \(0, 3\) do not fit maps of \(9, 8\)'),
        (dict(shape=(2, 0, 9, 8)), 'no units'),
    ],
)
def test_what_it_cannot_draw_is_refused(wrong, message):
    with pytest.raises(RuntimeError, match=message):
        ask_for(**wrong)


class MallInfo(ctypes.Structure):
    # malloc.h has ten numbers: e is hblkhd, h is uordblks
    _fields_ = [(name, ctypes.c_size_t) for name in 'abcdefghij']


def bytes_in_use():
    libc = ctypes.CDLL(None)
    if platform.libc_ver()[0] != 'glibc' or not hasattr(libc, 'mallinfo2'):
        pytest.skip('needs mallinfo2, which glibc has from 2.33')
    gc.collect()  # what was raised holds its words in circles
    libc.mallinfo2.restype = MallInfo
    found = libc.mallinfo2()
    return found.h + found.e  # in use in the heap, and in pieces of their own


def test_nothing_is_left_behind_by_calls_nor_by_refusals():
    gamma, key = torch.tensor(0.1), torch.tensor(3)
    arguments = gamma, key, [2, 3, 9, 8], [3, 3], True

    def work(calls):
        for _ in range(calls):
            CALLS.drop_mask(*arguments)
            CALLS.drop_mask_again(*arguments)
            with pytest.raises(RuntimeError):
                CALLS.drop_mask(gamma, key, [2, 3, 9, 8], [3], True)

    work(100)
    before = bytes_in_use()
    work(2000)
    assert bytes_in_use() - before < 16 * 2000  # the smallest piece malloc gives is 32


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('loops', None),  # was not built
        ('torchs_library', lambda: None),
        ('_OLDEST', 99 << 56),
        ('_FUNCTIONS', (*operators._FUNCTIONS, 'torch_of_another_time')),
    ],
)
def test_without_what_it_needs_those_in_python_stay(monkeypatch, name, value):
    monkeypatch.setattr(operators, name, value)
    names = ('drop_mask', 'drop_mask_again')
    assert not operators.give_to_torch('dropblock_mm', names)
