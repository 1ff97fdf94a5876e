"""Workers draw other numbers in every epoch, and the same ones in a resumed run."""

import torch
from mmengine.hooks import Hook

from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
from dropblock_mm.runs.hooks import WorkerSeedsHook
from dropblock_mm.runs.hooks.worker_seeds_hook import mixed
from dropblock_mm.testing.toy import ToyImages, toy_runner


class Drawn(ToyImages):
    """Images that begin with a number drawn by the worker."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        item['inputs'][0, 0, 0] = torch.rand(())
        return item


class Noting(Hook):
    """Keeps these numbers."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen += [float(image[0, 0, 0]) for image in data_batch['inputs']]


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
    return [noting.seen[i : i + 8] for i in range(0, len(noting.seen), 8)]


def test_epochs_have_numbers_of_their_own(tmp_path, load_tool):
    keep_loading_safe()  # which load_tool undoes
    first, second = numbers(tmp_path / 'plain', [], 2)
    assert first == second, 'mmengine 0.10.7 draws the same ones again'
    whole = numbers(tmp_path / 'whole', [WorkerSeedsHook()], 2)
    assert whole[0] == first
    assert not set(whole[1]) & set(first)
    half = numbers(tmp_path / 'half', [WorkerSeedsHook()], 1)
    checkpoint = str(tmp_path / 'half/epoch_1.pth')
    rest = numbers(
        tmp_path / 'rest', [WorkerSeedsHook()], 2, load_from=checkpoint, resume=True
    )
    assert half + rest == whole


def test_seeds_leave_room_for_ranks_and_workers():
    found = {mixed(seed, epoch) for seed in range(20) for epoch in range(1, 100)}
    assert len(found) == 20 * 99
    assert max(found) < 2**31
    assert mixed(2**31 - 1, 300) >= 0
