"""Runs of one seed see the same images, whatever their models draw."""

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook

from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
from dropblock_mm.runs.hooks import SameDataHook
from dropblock_mm.runs.hooks.same_data_hook import SEEN
from dropblock_mm.testing.toy import ToyClassifier, ToyImages, toy_resnet, toy_runner


class Cropped(ToyImages):
    """Images with what torch and NumPy draw at random, as pipelines do."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        item['inputs'] = item['inputs'] + torch.rand(1) + float(np.random.rand())
        return item


class Drawing(ToyClassifier):
    """A model that draws as often as it is told, as one with dropout does."""

    def __init__(self, draws):
        super().__init__(toy_resnet(), 64)
        self.draws, self.drawn = draws, []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        for _ in range(self.draws):
            self.drawn.append(float(torch.rand(())))
            np.random.rand()
        inputs = torch.stack(inputs) if isinstance(inputs, list) else inputs
        labels = torch.as_tensor(data_samples)
        return super().forward(inputs, labels, mode)


class Seeing(Hook):
    """Keeps the first number of every image."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen += [float(image.flatten()[0]) for image in data_batch['inputs']]


@pytest.fixture
def train(tmp_path):
    """A function that trains a model and returns what it saw, drew and recorded."""

    def run(name, draws, hook=True, **options):
        seeing, model = Seeing(), Drawing(draws)
        hooks = [seeing, SameDataHook()] if hook else [seeing]
        runner = toy_runner(
            tmp_path / name,
            hooks,
            model=model,
            dataset=Cropped(),
            randomness=dict(seed=3),
            **options,
        )
        runner.train()
        return seeing.seen, model.drawn, runner.message_hub.runtime_info.get(SEEN)

    return run


def test_models_that_draw_more_see_the_same_images(train):
    plain, _, sums = train('a', 0)
    drawing, drawn, other = train('b', 3)
    assert len(plain) == 16
    assert drawing == plain
    assert other == sums
    assert sums['iterations'] == 8
    assert len(set(drawn)) == 24, 'the model has random numbers of its own'
    bare, _, _ = train('c', 0, hook=False)
    drawing, _, _ = train('d', 3, hook=False)
    assert bare != drawing, 'without the hook they do not'


def test_a_resumed_run_sees_and_drops_what_a_whole_one_does(train, tmp_path, load_tool):
    keep_loading_safe()  # which load_tool undoes
    whole, drawn, sums = train('a', 1)
    half, begun, _ = train('b', 1, train_cfg=dict(by_epoch=True, max_epochs=1))
    rest, drawn_on, resumed = train(
        'b2', 1, load_from=str(tmp_path / 'b' / 'epoch_1.pth'), resume=True
    )
    assert half + rest == whole
    assert begun + drawn_on == drawn
    assert resumed == {**sums, 'resumed': True}


def test_other_images_have_another_sum(train, monkeypatch):
    _, _, sums = train('a', 0)
    plain = Cropped.__getitem__

    def brighter(self, index):
        item = plain(self, index)
        return {**item, 'inputs': item['inputs'] * 2}

    monkeypatch.setattr(Cropped, '__getitem__', brighter)
    _, _, other = train('b', 0)
    assert other['pixels'] != sums['pixels']
