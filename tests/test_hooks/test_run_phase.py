"""Runs that train, and runs that only evaluate."""

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from torch.utils.data import Dataset

from dropblock_mm import ScheduledDrop
from dropblock_mm.hooks.rate_hooks import is_training
from dropblock_mm.testing.toy import ToyImages, toy_classifier, toy_runner

HOOKS = [
    dict(type='dropblock_mm.InjectionHook', layer='DropPath', keep_prob=0.5)
    | dict(targets=[dict(module='backbone.layer4')]),
]


class Phases(Hook):
    """Note what is said of each run."""

    priority = 'LOWEST'

    def __init__(self):
        self.said = []

    def before_run(self, runner):
        self.said.append(is_training(runner))


class Count(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [1] * len(data_samples)

    def compute_metrics(self, results):
        return dict(images=len(results))


class NotReadable(Dataset):
    """Stands for a training set that a test machine does not have."""

    def __init__(self, *args):
        raise AssertionError('an evaluation must not build the training set')


def runner_with_test(tmp_path, **options):
    loader = dict(
        dataset=ToyImages(),
        batch_size=2,
        sampler=dict(type='DefaultSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
    )
    runner = toy_runner(
        tmp_path,
        HOOKS,
        test_dataloader=loader,
        test_cfg={},
        test_evaluator=Count(),
        **options,
    )
    phases = Phases()
    runner.register_hook(phases)
    return runner, phases


def layers_of(runner):
    return [m for m in runner.model.modules() if isinstance(m, ScheduledDrop)]


def test_a_test_run_injects_nothing_and_builds_no_training_set(tmp_path, monkeypatch):
    runner, phases = runner_with_test(tmp_path)
    monkeypatch.setattr(type(runner), 'build_train_loop', NotReadable)
    assert runner.test()['images'] == 8
    assert phases.said == [False]
    assert not layers_of(runner)


def test_a_training_run_injects_and_a_test_after_it_not_again(tmp_path):
    runner, phases = runner_with_test(tmp_path)
    runner.train()
    count = len(layers_of(runner))
    assert runner.test()['images'] == 8
    assert phases.said == [True, True]
    assert len(layers_of(runner)) == count == 2


def test_an_optimizer_that_was_built_by_hand_does_no_harm(tmp_path):
    """Evaluation then looks like training: layers are there, and do nothing."""
    torch.manual_seed(0)
    model = toy_classifier()
    image = torch.randn(2, 3, 32, 32)
    before = model.eval()(image)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    runner, _ = runner_with_test(
        tmp_path, model=model, optim_wrapper=OptimWrapper(optimizer)
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(runner), 'build_train_loop', NotReadable)
        assert runner.test()['images'] == 8
    assert torch.equal(model.eval()(image), before)
    assert not any(layer.seen_units for layer in layers_of(runner))
