"""Modules that are recomputed, in a run of MMEngine's."""

import pytest
import torch
from torch import nn

from dropblock_mm.testing.toy import toy_classifier, toy_runner

RECOMPUTED = 'backbone.layer4'


@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    """The models of a plain run, and of one that recomputes a stage."""
    hook = dict(type='dropblock_mm.ActivationCheckpointingHook', modules=RECOMPUTED)
    models = []
    for hooks in ([], [hook]):
        torch.manual_seed(0)  # for the weights
        folder = tmp_path_factory.mktemp('run')
        model = toy_classifier(norm_eval=False)
        runner = toy_runner(folder, hooks, model=model, randomness=dict(seed=0))
        runner.train()
        models.append((runner.model, runner.iter))
    return models


def test_the_model_learns_the_same(pair):
    (plain, _), (recomputed, _) = pair
    for ours, theirs in zip(recomputed.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_norms_count_every_batch_once(pair):
    """torch's checkpoint alone has them count twice what is computed twice."""
    (plain, iterations), (recomputed, _) = pair
    ours, theirs = dict(recomputed.named_buffers()), dict(plain.named_buffers())
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name])
    norms = [
        m
        for m in recomputed.get_submodule(RECOMPUTED).modules()
        if isinstance(m, nn.BatchNorm2d)
    ]
    assert {m.num_batches_tracked.item() for m in norms} == {iterations}
