"""Several processes on the CPU: what ranks share and what they must not share."""

from functools import partial

import pytest
import torch
import torch.distributed as dist

from dropblock_mm.testing.distributed import (
    RankedRun,
    channels_last_classifier,
    classifier_of_many_sides,
    mean_of_ranks,
)
from dropblock_mm.testing.toy_detector import ToyBoxes, toy_detector

pytestmark = pytest.mark.skipif(
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
WORLD_SIZES = [2, pytest.param(4, marks=pytest.mark.nightly)]
# Sums over 4 images in another order; 4 steps of SGD on weights of about 0.1.
SAME = dict(rtol=1e-4, atol=1e-6)


def assert_same_training(ranks, alone):
    """The ranks' mean is what one process does, and afterwards all are equal."""
    torch.testing.assert_close(mean_of_ranks(ranks), mean_of_ranks([alone]), **SAME)
    for rank in ranks:
        torch.testing.assert_close(rank['gradients'], alone['gradients'], **SAME)
        torch.testing.assert_close(rank['weights'], alone['weights'], **SAME)
        assert_same_weights(rank, ranks[0])


def assert_same_weights(first, second):
    for name, weights in first['weights'].items():
        assert torch.equal(weights, second['weights'][name]), name


@pytest.mark.parametrize('world_size', WORLD_SIZES)
def test_without_drop_block_as_one_process(tmp_path, world_size):
    ranks = RankedRun(tmp_path / 'ranks').train(world_size)
    (alone,) = RankedRun(tmp_path / 'alone', batch_size=2 * world_size).train(1)
    assert_same_training(ranks, alone)


def test_channels_last_as_one_process(tmp_path):
    """The weights turn before DistributedDataParallel lays out its buckets."""
    run = partial(RankedRun, model=channels_last_classifier)
    ranks = run(tmp_path / 'ranks').train()
    (alone,) = run(tmp_path / 'alone', batch_size=4).train(1)
    assert_same_training(ranks, alone)


@pytest.mark.parametrize('world_size', WORLD_SIZES)
def test_a_detector_that_averages_its_normalizers(tmp_path, world_size):
    """ATSS divides by the mean number of positives of all processes."""
    run = partial(
        RankedRun,
        model=partial(toy_detector, 'ATSS', norm_eval=True),
        dataset=ToyBoxes(),
    )
    ranks = run(tmp_path / 'ranks').train(world_size)
    (alone,) = run(tmp_path / 'alone', batch_size=2 * world_size).train(1)
    assert_same_training(ranks, alone)


@pytest.mark.parametrize('world_size', WORLD_SIZES)
def test_a_detector_that_does_not(tmp_path, world_size):
    """RetinaNet divides by the number of positives of its own process.

    So several processes are not one process with the whole batch, but one that
    accumulates the gradients of the parts.
    """
    run = partial(
        RankedRun,
        model=partial(toy_detector, 'RetinaNet', norm_eval=True),
        dataset=ToyBoxes(),
        batch_size=1,  # so that the parts are the same
    )
    ranks = run(tmp_path / 'ranks').train(world_size)
    (alone,) = run(
        tmp_path / 'alone', accumulative_counts=world_size, iterations=4 * world_size
    ).train(1)
    parts = torch.tensor(alone['loss']).reshape(-1, world_size).mean(dim=1)
    torch.testing.assert_close(mean_of_ranks(ranks), parts, **SAME)
    torch.testing.assert_close(ranks[0]['gradients'], alone['gradients'], **SAME)
    torch.testing.assert_close(ranks[0]['weights'], alone['weights'], **SAME)


@pytest.mark.parametrize('world_size', WORLD_SIZES)
def test_masks_differ_and_weights_agree(tmp_path, world_size):
    first, *others = RankedRun(tmp_path, HOOKS).train(world_size)
    assert first['keep_prob'] == pytest.approx([1, 5 / 6, 4 / 6, 1 / 2])
    assert not any('the same masks' in text for text in first['warnings'])
    for other in others:
        assert first['kept'][0] == other['kept'][0]  # keep_prob is 1
        assert first['kept'][1:] != other['kept'][1:]
        assert first['keep_prob'] == other['keep_prob']
        assert_same_weights(first, other)


def test_repeated_masks_are_warned_of(tmp_path):
    first, second = RankedRun(tmp_path, HOOKS, diff_rank_seed=False).train()
    assert first['kept'] == second['kept']
    assert any('the same masks' in text for text in first['warnings'])


INJECTED = {'layer2': 'Dropout', 'layer3': 'SpatialDropout', 'layer4': 'DropPath'}
EVERY_LAYER = [
    dict(
        type='dropblock_mm.InjectionHook',
        targets=[
            dict(module=f'backbone.{module}', layer=layer)
            for module, layer in INJECTED.items()
        ],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.5),
]


def test_every_layer_draws_apart_and_learns_together(tmp_path):
    run = RankedRun(tmp_path, EVERY_LAYER, model=classifier_of_many_sides, batch_size=8)
    first, second = run.train()
    assert_same_weights(first, second)
    assert first['kept'][0] == second['kept'][0]  # keep_prob is 1
    assert all(map(torch.isfinite, torch.tensor(first['loss'])))
    # By layer: two built in, four of Dropout and of SpatialDropout, two of DropPath.
    later = [torch.tensor(rank['kept'][1:]).T.tolist() for rank in (first, second)]
    assert len(later[0]) == 12
    differ = [ours != theirs for ours, theirs in zip(*later, strict=True)]
    kinds = [range(2), range(2, 6), range(6, 10), range(10, 12)]
    assert all(any(differ[index] for index in kind) for kind in kinds)
    assert all(differ[:2])
