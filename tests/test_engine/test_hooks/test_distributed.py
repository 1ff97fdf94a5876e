"""Two processes on the CPU: what ranks share and what they must not share."""

import pytest
import torch
import torch.distributed as dist

from dropblock_mm.testing.distributed import train_on_ranks

needs_gloo = pytest.mark.skipif(
    not dist.is_gloo_available(), reason='torch was built without gloo'
)
HOOKS = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        targets=[dict(module='backbone.layer4')],
        block_size=1,
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.5),
]


@needs_gloo
def test_masks_differ_and_weights_agree(tmp_path):
    first, second = train_on_ranks(tmp_path, HOOKS, diff_rank_seed=True)
    assert first['kept'][1:] != second['kept'][1:]
    assert first['keep_prob'] == second['keep_prob']
    assert not any('the same masks' in text for text in first['warnings'])
    for name, ours in first['weights'].items():
        # Running statistics are each rank's own, as in any DDP training.
        if 'running' not in name:
            assert torch.equal(ours, second['weights'][name]), name


@needs_gloo
def test_repeated_masks_are_warned_of(tmp_path):
    first, second = train_on_ranks(tmp_path, HOOKS, diff_rank_seed=False)
    assert first['kept'] == second['kept']
    assert any('the same masks' in text for text in first['warnings'])
