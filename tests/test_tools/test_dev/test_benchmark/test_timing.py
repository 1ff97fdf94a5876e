"""Taking turns, and what disturbs the times."""

import collections
import itertools
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[4]


def test_calls_take_turns(part):
    timing, said = part('timing'), []
    calls = {name: lambda name=name: said.append(name) for name in 'abc'}
    samples = timing.interleave(calls, 2)
    assert ''.join(said) == 'abc' * (timing.WARM_UP + 2)
    assert {name: len(found) for name, found in samples.items()} == dict(a=2, b=2, c=2)


def test_rotated_calls_each_come_first(part):
    timing, said = part('timing'), []
    calls = {name: lambda name=name: said.append(name) for name in 'abc'}
    timing.interleave(calls, 3, rotate=True)
    rounds = [''.join(said[k : k + 3]) for k in range(0, len(said), 3)]
    assert all(sorted(found) == list('abc') for found in rounds)
    assert ''.join(sorted(found[0] for found in rounds[-3:])) == 'abc'


@pytest.mark.parametrize('names', ['ab', 'abc', 'abcd', 'abcde'])
def test_no_call_always_follows_the_same_one(part, names):
    rounds = [part('timing').turns(names, k) for k in range(2 * len(names))]
    pairs = collections.Counter(
        pair for found in rounds for pair in itertools.pairwise(found)
    )
    assert set(pairs) == set(itertools.permutations(names, 2))
    assert set(pairs.values()) == {2}
    first = collections.Counter(found[0] for found in rounds)
    assert set(first.values()) == {2}


def test_ratios_are_within_each_round(part):
    timing = part('timing')
    above = [timing.Sample(ms) for ms in (10, 40, 90)]
    below = [timing.Sample(ms) for ms in (10, 20, 30)]
    ratios = timing.ratios(above, below)
    assert (ratios.median, ratios.low, ratios.high) == (2, 1.5, 2.5)


def test_disturbances_are_counted_and_a_busy_machine_is_called_so(part):
    timing = part('timing')
    calm = [timing.Sample(500.0, 300, 5), timing.Sample(500.0, 2, 15)]
    assert timing.disturbances(calm) == [
        '1 of 2 samples waited for 256 or more pages of memory',
        'other processes interrupted the calls 20 times a second',
    ]
    busy = [timing.Sample(500.0, 0, 100)]
    assert timing.disturbances(busy)[1].endswith('the times')
    assert 'BUSY' in timing.disturbances(busy)[1]


def test_a_call_runs_forward_and_backward(part):
    x = torch.ones(1, 1, 4, 4, requires_grad=True)
    call = part('timing').forward_backward(lambda x: 3 * x, x, torch.ones(1, 1, 4, 4))
    (grad,) = call()
    assert torch.equal(grad, torch.full((1, 1, 4, 4), 3.0))
    assert x.grad is None


# In a process of its own, as the benchmark is: in the heap of one that ran other tests
# results find holes of all sizes, and other threads take some of them.
TWO_PLACES = """
import torch
from tools.dev.benchmark.timing import retain_pages, room_for

def places():
    one, two = torch.empty_like(x), torch.empty_like(x)
    return frozenset((one.data_ptr(), two.data_ptr()))

retain_pages()
for shape in ((2, 1024, 40, 40), (2, 512, 20, 20), (2, 256, 40, 40)):
    x = torch.empty(shape)
    with room_for(x):
        found = [places() for _ in range(20)]
    print(len(found[0]), len(set(found)))
"""


@pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc', reason='how glibc hands out memory'
)
def test_room_is_left_for_two_results_and_given_back():
    command = [sys.executable, '-c', TWO_PLACES]
    how = dict(check=True, capture_output=True, text=True, cwd=ROOT)
    said = subprocess.run(command, **how).stdout
    assert said.splitlines() == ['2 1'] * 3


def test_blocks_in_which_results_wander_are_held(part, monkeypatch):
    pool = [torch.empty(10) for _ in range(3)]
    taken = itertools.cycle(pool)
    monkeypatch.setattr(torch, 'empty_like', lambda x: next(taken))
    found = part('timing').strays(torch.empty(10), 2, rounds=4)
    # Two rounds of pairs: 01 20, then 12 01. Home is 20, so 1 is the stray.
    assert [block is pool[1] for block in found] == [True, True]
