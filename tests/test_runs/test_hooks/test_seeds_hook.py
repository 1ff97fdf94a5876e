"""No two epochs, and no two parts of a resumed run, draw the same numbers."""

import random
from functools import partial

import numpy as np
import pytest
import torch
from mmengine.dataset import worker_init_fn
from mmengine.hooks import Hook

from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
from dropblock_mm.runs.hooks import SeedsHook
from dropblock_mm.runs.worker_seeds import mixed, reseeded
from dropblock_mm.testing.toy import ToyImages, toy_runner


class Drawn(ToyImages):
    """Images that begin with a number drawn by the worker."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        item['inputs'][0, 0, 0] = torch.rand(())
        return item


class Noting(Hook):
    """Keeps these numbers, and one that each iteration draws as a model does."""

    def __init__(self):
        self.seen, self.drawn = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen += [float(image[0, 0, 0]) for image in data_batch['inputs']]
        self.drawn.append((float(torch.rand(())), np.random.rand(), random.random()))


def numbers(folder, hooks, epochs, **options):
    noting = Noting()
    runner = toy_runner(
        folder,
        [noting, *hooks],
        dataset=Drawn(),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        randomness=dict(seed=3),
        **options,
    )
    runner._train_dataloader |= dict(
        num_workers=1, collate_fn=dict(type='default_collate')
    )
    runner.train()
    noting.seen = [noting.seen[i : i + 8] for i in range(0, len(noting.seen), 8)]
    return noting


def test_epochs_have_numbers_of_their_own(tmp_path, load_tool):
    keep_loading_safe()  # which load_tool undoes
    first, second = numbers(tmp_path / 'plain', [], 2).seen
    assert first == second, 'mmengine 0.10.7 draws the same ones again'
    whole = numbers(tmp_path / 'whole', [SeedsHook()], 2).seen
    assert whole[0] == first
    assert not set(whole[1]) & set(first)


@pytest.mark.parametrize('hook', [False, True])
def test_a_resumed_run_draws_on(tmp_path, load_tool, hook):
    keep_loading_safe()
    hooks = [SeedsHook()] if hook else []
    whole = numbers(tmp_path / 'whole', hooks, 2)
    half = numbers(tmp_path / 'half', hooks, 1)
    resumed = dict(load_from=str(tmp_path / 'half/epoch_1.pth'), resume=True)
    rest = numbers(tmp_path / 'rest', hooks, 2, **resumed)
    assert half.seen + rest.seen == whole.seen
    assert half.drawn == whole.drawn[:4]
    again = [old == new for old, new in zip(half.drawn, rest.drawn, strict=True)]
    # mmengine 0.10.7 begins anew, in torch, NumPy and Python.
    assert again == [not hook] * 4
    once_more = numbers(tmp_path / 'more', hooks, 2, **resumed)
    assert once_more.drawn == rest.drawn


def test_seeds_leave_room_for_ranks_and_workers():
    found = {mixed(seed, epoch) for seed in range(20) for epoch in range(1, 100)}
    assert len(found) == 20 * 99
    assert max(found) < 2**31
    assert mixed(2**31 - 1, 300) >= 0


def test_other_ways_to_begin_are_left_alone():
    begins = partial(print, seed=3)
    assert reseeded(begins, 4) is begins
    assert reseeded(None, 4) is None
    theirs = partial(worker_init_fn, num_workers=1, rank=0, seed=3)
    assert reseeded(theirs, 0) is theirs
    other = reseeded(theirs, 4)
    assert other.keywords == dict(num_workers=1, rank=0, seed=mixed(3, 4))
