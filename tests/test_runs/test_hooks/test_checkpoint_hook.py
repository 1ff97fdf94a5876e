"""At every moment of training there is a whole checkpoint."""

import builtins
from collections import deque

import numpy as np
import pytest
import torch
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.fileio import LocalBackend
from mmengine.hooks import Hook
from mmengine.logging import MessageHub

from dropblock_mm.runs.checkpoints import safe_loading as safe
from dropblock_mm.runs.checkpoints.late_removal import RemovingLate
from dropblock_mm.testing.toy import ToyImages, toy_runner

OURS = 'dropblock_mm.CheckpointHook'


class Scores(BaseMetric):
    """A metric whose values are known beforehand."""

    def __init__(self, scores):
        super().__init__()
        self.scores = deque(scores)

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return {'score': self.scores.popleft()}


@pytest.fixture
def train(tmp_path, monkeypatch):
    """A function that trains, and returns the runner."""
    torch.serialization.add_safe_globals(safe.mmengine_globals())

    def run(scores=(), *, epochs=3, **options):
        checkpoint = {'type': OURS, **options}
        evaluation = dict(
            val_cfg=dict(),
            val_evaluator=Evaluator(Scores(scores)),
            val_dataloader=dict(
                dataset=ToyImages(2),
                sampler=dict(type='DefaultSampler', shuffle=False),
                collate_fn=dict(type='default_collate'),
            ),
        )
        runner = toy_runner(
            tmp_path,
            [],
            train_cfg=dict(by_epoch=True, max_epochs=epochs),
            checkpoint=checkpoint,
            resume=(tmp_path / 'last_checkpoint').exists(),
            **(evaluation if scores else {}),
        )
        runner.train()
        return runner

    return run


@pytest.fixture
def removals(tmp_path, monkeypatch):
    """What is removed, each time with the files that are there."""
    seen = []
    remove = LocalBackend.remove

    def watch(self, path):
        there = sorted(file.name for file in tmp_path.glob('*.pth*'))
        named = (tmp_path / 'last_checkpoint').read_text().rpartition('/')[2]
        seen.append((path.rpartition('/')[2], there, named))
        remove(self, path)

    monkeypatch.setattr(LocalBackend, 'remove', watch)
    return seen


def files(folder):
    return sorted(path.name for path in folder.glob('*.pth*'))


@pytest.mark.parametrize('keep', [-1, 1, 2, 3])
def test_the_same_files_as_mmengines(train, tmp_path, keep):
    train(epochs=4, max_keep_ckpts=keep)
    kept = 4 if keep < 0 else keep
    assert files(tmp_path) == [f'epoch_{e}.pth' for e in range(5 - kept, 5)]


def test_the_old_one_goes_last(train, tmp_path, removals):
    train(max_keep_ckpts=1)
    assert removals == [
        ('epoch_1.pth', ['epoch_1.pth', 'epoch_2.pth'], 'epoch_2.pth'),
        ('epoch_2.pth', ['epoch_2.pth', 'epoch_3.pth'], 'epoch_3.pth'),
    ]


def test_mmengine_alone_would_leave_nothing(train, tmp_path, monkeypatch):
    """What the hook is for: should MMEngine change this, it can go."""
    left = []
    remove = LocalBackend.remove

    def watch(self, path):
        remove(self, path)
        left.append(files(tmp_path))

    monkeypatch.setattr(LocalBackend, 'remove', watch)
    train(max_keep_ckpts=1, type='CheckpointHook')
    assert left == [[], []]


def test_the_former_best_goes_last(train, tmp_path, removals):
    train([0.1, 0.2, 0.15], save_best='score', rule='greater', max_keep_ckpts=2)
    assert removals[0] == (
        'best_score_epoch_1.pth',
        [f'{best}epoch_{e}.pth' for best in ('best_score_', '') for e in (1, 2)],
        'epoch_2.pth',
    )
    assert files(tmp_path) == ['best_score_epoch_2.pth', 'epoch_2.pth', 'epoch_3.pth']


def test_a_resumed_run_knows_the_best(train, tmp_path):
    best = dict(save_best='score', rule='greater', max_keep_ckpts=1)
    train([0.3], epochs=1, **best)
    train([0.2, 0.4], epochs=3, **best)
    assert files(tmp_path) == ['best_score_epoch_3.pth', 'epoch_3.pth']


def test_a_resumed_run_removes_what_a_killed_one_left(train, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(LocalBackend, 'remove', lambda self, path: None)
        train(epochs=2, max_keep_ckpts=1)
        assert files(tmp_path) == ['epoch_1.pth', 'epoch_2.pth']
    train(epochs=3, max_keep_ckpts=1)
    assert files(tmp_path) == ['epoch_3.pth']


def test_a_backend_of_ones_own_is_kept(train):
    runner = train(epochs=1, backend_args=dict(backend='local'))
    assert runner.hooks[-1].backend_args == dict(backend='local')


def test_another_folder(train, tmp_path):
    train(epochs=2, max_keep_ckpts=1, out_dir=str(tmp_path / 'elsewhere'))
    saved = tmp_path / 'elsewhere' / tmp_path.name / 'epoch_2.pth'
    assert [*saved.parent.iterdir()] == [saved]
    assert (tmp_path / 'last_checkpoint').read_text() == str(saved)


def test_the_name_of_the_last_one_is_never_written_in_place(
    train, tmp_path, monkeypatch
):
    """Killed then, MMEngine would leave an empty file."""
    opened, plain = [], builtins.open

    def watch(file, mode='r', *args, **kwargs):
        if 'w' in mode:
            opened.append(str(file))
        return plain(file, mode, *args, **kwargs)

    monkeypatch.setattr(builtins, 'open', watch)
    train(epochs=2, max_keep_ckpts=1)
    assert any(path.endswith('last_checkpoint') for path in opened)  # it was watched
    assert str(tmp_path / 'last_checkpoint') not in opened
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_2.pth')


def test_what_is_to_go_stays_where_it_was_given_its_name_anew(tmp_path):
    notes = MessageHub.get_instance(f'notes of {tmp_path}')
    storage = RemovingLate(LocalBackend(), notes)
    for name in 'ab':
        (tmp_path / name).touch()
        storage.remove(str(tmp_path / name))
    assert len([*tmp_path.iterdir()]) == 2
    storage.remove_outdated(str(tmp_path), {str(tmp_path / 'b'), None})
    assert [path.name for path in tmp_path.iterdir()] == ['b']
    storage.remove_outdated(str(tmp_path), set())  # nothing is noted any more
    assert [path.name for path in tmp_path.iterdir()] == ['b']


class Keeping(Hook):
    """Saves a state, and gets it back."""

    def __init__(self, state, since=0):
        self.state, self.since = state, since
        self.loaded = None

    def before_save_checkpoint(self, runner, checkpoint):
        if runner.iter >= self.since:
            checkpoint['keeping'] = self.state

    def after_load_checkpoint(self, runner, checkpoint):
        self.loaded = checkpoint['keeping']


class Own:
    """A class that no reader knows."""


@pytest.mark.parametrize('place', ['hook', 'message_hub'])
def test_what_could_not_be_read_back_is_refused_before_training(tmp_path, place):
    hooks = [Keeping({'a': [Own()]})] if place == 'hook' else []
    runner = toy_runner(tmp_path, hooks, checkpoint={'type': OURS})
    if place == 'message_hub':
        runner.message_hub.update_info('keeping', Own())
    with pytest.raises(ValueError, match=r"\['keeping'\].*test_checkpoint_hook\.Own"):
        runner.train()
    assert runner.iter == 0
    assert files(tmp_path) == []


def test_a_hooks_state_comes_back(tmp_path):
    state = {'best': np.float32(0.5), 'seen': [('a', 1)], 'weights': torch.ones(2)}
    torch.serialization.add_safe_globals(safe.mmengine_globals())
    saver, loader = Keeping(state), Keeping(state)
    toy_runner(tmp_path, [saver], checkpoint={'type': OURS}).train()
    toy_runner(
        tmp_path,
        [loader],
        checkpoint={'type': OURS},
        resume=True,
        train_cfg=dict(by_epoch=True, max_epochs=3),
    ).train()
    assert loader.loaded['weights'].tolist() == [1, 1]
    assert loader.loaded['best'] == state['best']
    assert loader.loaded['seen'] == state['seen']


def test_what_turns_up_later_is_named_once(tmp_path):
    runner = toy_runner(tmp_path, [Keeping(Own(), since=1)], checkpoint={'type': OURS})
    said = []
    runner.logger.warning = said.append
    runner.train()
    (warning,) = [text for text in said if 'cannot be resumed' in text]
    assert "checkpoint['keeping']" in warning
    assert len(files(tmp_path)) == 2


def test_a_hook_that_is_not_ready_yet_does_not_stop_training(tmp_path):
    class Later(Hook):
        def before_save_checkpoint(self, runner, checkpoint):
            checkpoint['seen'] = self.seen

        def after_train_iter(self, runner, *args, **kwargs):
            self.seen = runner.iter

    runner = toy_runner(tmp_path, [Later()], checkpoint={'type': OURS})
    said = []
    runner.logger.warning = said.append
    runner.train()
    assert any('was not tried' in text for text in said)
    assert len(files(tmp_path)) == 2


def test_trying_leaves_nothing_behind(tmp_path):
    """Neither a file nor a change of what is saved."""
    runner = toy_runner(tmp_path, [dict(type='EMAHook')], checkpoint={'type': OURS})
    runner.register_hook(_NothingYet(tmp_path), priority='LOWEST')
    runner.train()
    assert files(tmp_path) == ['epoch_1.pth', 'epoch_2.pth']


class _NothingYet(Hook):
    def __init__(self, folder):
        self.folder = folder

    def before_train(self, runner):
        assert files(self.folder) == []
