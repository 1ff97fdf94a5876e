"""The table of sites that training logs, and what it warns of."""

import pytest
import torch
from mmengine.hooks import Hook
from torch import nn

from dropblock_mm import expected_keep_rate, seed_rate
from dropblock_mm.layers import ScheduledDrop
from dropblock_mm.runs.checkpoints.safe_loading import mmengine_globals
from dropblock_mm.testing.toy import toy_runner

SCHEDULE = dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.5)


def injection(*targets, **options):
    return dict(
        type='dropblock_mm.DropBlockInjectionHook', targets=[*targets], **options
    )


@pytest.fixture
def log(monkeypatch):
    """What the runner's logger is told, by level."""
    said = {'info': [], 'warning': []}
    for level, messages in said.items():
        monkeypatch.setattr(
            f'mmengine.logging.MMLogger.{level}',
            lambda self, text, *args, to=messages: to.append(str(text)),
        )
    return said


def table(log):
    (text,) = [text for text in log['info'] if 'Maps of the first' in text]
    return text.splitlines()


def train(tmp_path, *hooks, **options):
    runner = toy_runner(tmp_path, [*hooks], **options)
    runner.train()
    return runner


def test_it_says_what_happens_at_the_end_of_training(tmp_path, log):
    targets = [
        dict(module='backbone.layer2.1', block_size=3),
        dict(module='backbone.layer1.0', keep_prob=0.8, gamma_scale=0.25),
    ]
    train(tmp_path, injection(*targets, block_size=5), SCHEDULE)
    title, _, header, _, *rows = table(log)
    assert title.startswith(
        'DropBlock at 6 sites: keep_prob 1 -> 0.5, linear, iterations 0 to 7. Maps'
    )
    assert header.split() == (
        [
            'module',
            'place',
            'block_size',
            'gamma_scale',
            'map',
            'gamma',
            'keeps',
            'options',
        ]
    )
    cells = [row.split() for row in rows]
    for row, path, block, scale, size, keep_prob in (
        (cells[0], 'backbone.layer2.1', 3, 1.0, ['16', 'x', '4', 'x', '4'], 0.5),
        (cells[-1], 'backbone.layer1.0', 5, 0.25, ['8', 'x', '8', 'x', '8'], 0.8),
    ):
        side = (int(size[-1]),) * 2
        settings = dict(
            keep_prob=keep_prob, block_size=block, feature_size=side, gamma_scale=scale
        )
        gamma, kept = seed_rate(**settings), expected_keep_rate(**settings)
        assert [row[0], *row[2:11]] == [
            *(path, str(block), f'{scale:g}', *size),
            *(f'{gamma:.3g}', f'{kept:.4f}'),
        ]
    assert not [text for text in log['warning'] if 'covers' in text]


def test_a_block_that_covers_its_map_is_warned_of(tmp_path, log):
    targets = [dict(module='backbone.layer2'), dict(module='backbone.layer4')]
    train(tmp_path, injection(*targets, block_size=3), SCHEDULE)
    (warning,) = [text for text in log['warning'] if 'covers' in text]
    assert 'covers the map at 6 of 12 sites' in warning
    assert 'whole channels there, 50% of them at the end' in warning
    assert 'backbone.layer4.0 (shortcut, 1 x 1)' in warning
    assert 'layer2' not in warning


def test_a_constant_rate_is_called_so(tmp_path, log):
    target = dict(module='backbone.layer2', layer='Dropout', keep_prob=0.7)
    train(tmp_path, dict(type='dropblock_mm.InjectionHook', targets=[target]))
    title, _, header, _, row, *_ = table(log)
    assert title.startswith('Dropout at 4 sites: constant keep_prob')
    assert header.split() == ['module', 'place', 'map', 'keeps', 'options']
    assert row.split()[-4:] == ['4', '0.7000', 'keep_prob', '0.7']


def test_a_head_on_maps_of_several_sizes_has_a_row_for_each(tmp_path, log):
    from dropblock_mm.testing.toy import ToyClassifier, toy_resnet

    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = toy_resnet()
            self.unit = nn.Sequential(nn.Conv2d(64, 64, 1), nn.BatchNorm2d(64))
            self.spare = nn.Sequential(nn.Conv2d(64, 64, 1), nn.BatchNorm2d(64))

        def forward(self, x):
            (out,) = self.backbone(x)[-1:]
            return [self.unit(out), self.unit(nn.functional.interpolate(out, (2, 3)))]

    targets = [dict(module='backbone.unit'), dict(module='backbone.spare')]
    train(
        tmp_path,
        injection(*targets, block_size=1),
        SCHEDULE,
        model=ToyClassifier(Shared(), 64),
    )
    rows = [' '.join(row.split()) for row in table(log)[4:]]
    assert [row.partition(' 0.')[0] for row in rows] == [
        'backbone.unit.0 conv 1 64 x 1 x 1',
        'backbone.unit.0 conv 1 64 x 2 x 3',
        'backbone.spare.0 conv 1 not reached',
    ]


def test_a_layer_that_tells_no_rate_has_none(tmp_path, log):
    class TellsNothing(ScheduledDrop):
        def drop(self, x, keep_prob):
            return x.clone(), x.numel()

    target = dict(module='backbone.layer4', layer=TellsNothing)
    train(tmp_path, dict(type='dropblock_mm.InjectionHook', targets=[target]), SCHEDULE)
    *_, row = table(log)
    assert row.endswith('64 x 1 x 1')


def test_nothing_watches_after_the_first_iteration(tmp_path):
    hooks = {}

    class Count(Hook):
        priority = 'LOWEST'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            modules = runner.model.modules()
            hooks[runner.iter] = sum(
                len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules
            )

    runner = toy_runner(tmp_path, [injection(dict(module='backbone.layer4')), SCHEDULE])
    runner.register_hook(Count())
    runner.train()
    # Two free slots; after the norms, and the projection, a hook of the layer each, and
    # one of its block, which warns tracers.
    assert set(hooks.values()) == {5 + 5}


def test_a_compiled_model_is_left_alone(tmp_path, log, monkeypatch):
    # What is looked at is the config: to compile takes a minute.
    monkeypatch.setattr('mmengine.runner.Runner._maybe_compile', lambda *args: None)
    train(
        tmp_path,
        injection(dict(module='backbone.layer4'), block_size=1),
        SCHEDULE,
        cfg=dict(compile=dict(backend='eager')),
    )
    (report,) = [text for text in log['info'] if 'DropBlock at' in text]
    assert 'backbone.layer4.1' in report
    assert ' map ' not in report


def test_auto_says_what_it_took(tmp_path, log):
    hook = dict(type='dropblock_mm.DropBlockInjectionHook', targets='auto')
    train(tmp_path, {**hook, 'block_size': 1}, SCHEDULE)
    (said,) = [text for text in log['info'] if text.startswith("targets='auto'")]
    assert 'took backbone.layer3 (gamma_scale 0.25) and backbone.layer4, the' in said
    assert len(table(log)) == 4 + 12


# ---- resuming


def resumed(tmp_path, epochs, **options):
    schedule = {**SCHEDULE, **options}
    hooks = [injection(dict(module='backbone.layer2'), block_size=1), schedule]
    first = dict(by_epoch=True, max_epochs=1)
    torch.serialization.add_safe_globals(mmengine_globals())
    train(tmp_path, *hooks, train_cfg=first)
    again = dict(by_epoch=True, max_epochs=epochs)
    train(tmp_path, *hooks, train_cfg=again, resume=True)


def test_a_resumed_run_of_another_length_says_that_keep_prob_jumps(tmp_path, log):
    resumed(tmp_path, epochs=2)  # 4 iterations, then 8
    (warning,) = [text for text in log['warning'] if 'jumps' in text]
    assert warning.startswith('keep_prob jumps from 0.500 to 0.714 at iteration 4:')
    assert 'goes to 0.5 over 8 iterations' in warning


def test_a_schedule_in_iterations_goes_on(tmp_path, log):
    resumed(tmp_path, epochs=2, end=3, unit='iter')
    assert not [text for text in log['warning'] if 'jumps' in text]
