"""Both hooks at work in real runs of MMEngine's Runner."""

import copy
import json
from pathlib import Path

import pytest
import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.registry import HOOKS
from torch import nn

from dropblock_mm import DropBlock2d
from dropblock_mm.hooks import DropBlockInjectionHook, KeepProbScheduleHook
from dropblock_mm.runs.checkpoints.safe_loading import mmengine_globals
from dropblock_mm.runs.messages import is_user_mistake
from dropblock_mm.testing.toy import toy_classifier, toy_runner

MAX_ITERS = 8  # of a toy run: 2 epochs of 4 iterations


@pytest.fixture
def safe_globals():
    """Let torch's safe loading read MMEngine's checkpoints, in this test."""
    torch.serialization.add_safe_globals(mmengine_globals())


def injection(*targets, **options):
    targets = targets or (dict(module='backbone.layer4'),)
    return dict(
        type='dropblock_mm.DropBlockInjectionHook',
        targets=list(targets),
        block_size=1,
        **options,
    )


def schedule(keep_prob=0.5, **options):
    return dict(
        type='dropblock_mm.KeepProbScheduleHook', keep_prob=keep_prob, **options
    )


def layers_of(model):
    return [module for module in model.modules() if isinstance(module, DropBlock2d)]


def logged(runner):
    """The rows of the json log that belong to training."""
    path = Path(runner.log_dir, 'vis_data', 'scalars.json')
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if 'keep_prob' in row]


def history(runner, name):
    """Every value of a scalar, from before a resume too."""
    return runner.message_hub.get_scalar(name).data[0].tolist()


def linear(end, max_iters=MAX_ITERS):
    return [1 - (1 - end) * i / (max_iters - 1) for i in range(max_iters)]


class RecordRates(Hook):
    """Note what every layer holds while the model trains."""

    priority = 'LOW'

    def __init__(self):
        self.rates = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.rates.append({la.keep_prob.item() for la in layers_of(runner.model)})


def test_rate_follows_the_schedule_and_is_logged(tmp_path):
    runner = toy_runner(tmp_path, [injection(), schedule()])
    record = RecordRates()
    runner.register_hook(record)
    runner.train()
    assert [rates.pop() for rates in record.rates] == pytest.approx(linear(0.5))
    rows = logged(runner)
    assert [row['keep_prob'] for row in rows] == pytest.approx(linear(0.5))
    assert rows[0]['effective_keep_rate'] == 1.0
    for row in rows[1:]:
        assert row['effective_keep_rate'] == row['target_keep_rate.backbone.layer4']
        assert row['effective_keep_rate'] == pytest.approx(row['keep_prob'], abs=0.1)


def test_tensorboard_gets_the_same_numbers(tmp_path):
    reader = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator',
        reason='tensorboard is not installed',
    )
    backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
    runner = toy_runner(
        tmp_path,
        [injection(), schedule()],
        visualizer=dict(type='Visualizer', vis_backends=backends),
    )
    runner.train()
    events = reader.EventAccumulator(str(Path(runner.log_dir, 'vis_data')))
    events.Reload()
    for name in ('keep_prob', 'target_keep_rate.backbone.layer4'):
        shown = [event.value for event in events.Scalars(name)]
        assert shown == pytest.approx([row[name] for row in logged(runner)])


def test_the_default_scope_of_a_config_does_not_matter(tmp_path):
    toy_runner(tmp_path, [injection(), schedule()], default_scope='mmdet').train()


def test_every_target_has_its_rate_and_its_log(tmp_path):
    runner = toy_runner(
        tmp_path,
        [
            injection(
                dict(module='backbone.layer3', gamma_scale=0.25),
                dict(module='backbone.layer4', keep_prob=0.2),
            ),
            schedule(0.6),
        ],
    )
    runner.train()
    last = logged(runner)[-1]
    assert last['keep_prob'] == 0.6
    assert last['target_keep_prob.backbone.layer4'] == 0.2
    assert last['target_keep_rate.backbone.layer3'] == pytest.approx(0.9, abs=0.05)
    assert last['target_keep_rate.backbone.layer4'] == pytest.approx(0.2, abs=0.1)


def test_a_constant_rate_needs_no_schedule(tmp_path):
    runner = toy_runner(tmp_path, [injection(keep_prob=0.5)])
    record = RecordRates()
    runner.register_hook(record)
    runner.train()
    assert record.rates == [{0.5}] * MAX_ITERS


def test_two_injection_hooks_work_side_by_side(tmp_path, log):
    runner = toy_runner(
        tmp_path,
        [injection(), injection(dict(module='backbone.layer3')), schedule()],
    )
    runner.train()
    last = logged(runner)[-1]
    parts = [last[f'target_keep_rate.backbone.layer{stage}'] for stage in (3, 4)]
    assert min(parts) < last['effective_keep_rate'] < max(parts)
    assert not any('did nothing' in text for text in log)


def test_layers_built_by_the_config_are_scheduled_and_logged(tmp_path):
    plugin = dict(type='dropblock_mm.DropBlock2d', keep_prob=None, block_size=1)
    model = toy_classifier(
        50, plugins=[dict(cfg=plugin, position='after_conv2', stages=(0, 0, 0, 1))]
    )
    runner = toy_runner(tmp_path, [schedule()], model=model)
    runner.train()
    last = logged(runner)[-1]
    assert last['target_keep_rate.plugins'] == pytest.approx(0.5, abs=0.1)


def test_iter_based_training(tmp_path):
    runner = toy_runner(
        tmp_path,
        [injection(), schedule(begin=2, end=6, unit='iter')],
        train_cfg=dict(by_epoch=False, max_iters=10, val_interval=100),
        checkpoint_interval=100,
    )
    runner.train()
    expected = [1, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.5, 0.5, 0.5]
    assert [row['keep_prob'] for row in logged(runner)] == pytest.approx(expected)


def test_schedule_in_epochs(tmp_path):
    runner = toy_runner(tmp_path, [injection(), schedule(begin=1, unit='epoch')])
    runner.train()
    rates = [row['keep_prob'] for row in logged(runner)]
    assert rates[:5] == [1.0] * 5
    assert rates[-1] == 0.5


def test_gradient_accumulation_counts_iterations_not_updates(tmp_path):
    runner = toy_runner(
        tmp_path,
        [injection(), schedule()],
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.01), accumulative_counts=2),
    )
    runner.train()
    assert [row['keep_prob'] for row in logged(runner)] == pytest.approx(linear(0.5))


@pytest.mark.skipif(
    not torch.cuda.is_available(), reason="MMEngine's AmpOptimWrapper needs a GPU"
)
def test_amp(tmp_path):
    runner = toy_runner(
        tmp_path,
        [injection(), schedule()],
        optim_wrapper=dict(
            type='AmpOptimWrapper',
            dtype='bfloat16',
            loss_scale=1.0,
            optimizer=dict(type='SGD', lr=0.01),
        ),
    )
    runner.train()
    assert logged(runner)[-1]['effective_keep_rate'] == pytest.approx(0.5, abs=0.1)


def test_activation_checkpointing(tmp_path):
    """MMEngine's switch recomputes whole stages; rates and losses stay right."""
    runner = toy_runner(
        tmp_path,
        [injection(), schedule()],
        cfg=dict(activation_checkpointing=['backbone.layer4']),
    )
    runner.train()
    assert [row['keep_prob'] for row in logged(runner)] == pytest.approx(linear(0.5))


def test_checkpoints_are_those_of_the_plain_model(tmp_path):
    runner = toy_runner(tmp_path, [injection(), schedule()])
    runner.train()
    saved = torch.load(tmp_path / 'epoch_2.pth', weights_only=False)['state_dict']
    assert list(saved) == list(toy_classifier().state_dict())


def test_resume_goes_on_exactly(tmp_path, safe_globals):
    whole = toy_runner(tmp_path / 'whole', [injection(), schedule()])
    whole.train()

    class StopAfterOneEpoch(Hook):
        def after_train_epoch(self, runner):
            runner.train_loop.stop_training = True

    first = toy_runner(tmp_path / 'cut', [injection(), schedule()])
    first.register_hook(StopAfterOneEpoch())
    first.train()
    second = toy_runner(tmp_path / 'cut', [injection(), schedule()], resume=True)
    second.train()
    assert second.iter == MAX_ITERS
    for run in (whole, second):
        assert history(run, 'train/keep_prob') == pytest.approx(linear(0.5))
    assert history(second, 'train/keep_prob') == history(whole, 'train/keep_prob')


@pytest.mark.parametrize('update_buffers', [False, True])
def test_ema_copies_hold_the_right_buffers(tmp_path, update_buffers):
    """A late injection would shift keep_prob into a BatchNorm's running mean."""
    ema = dict(type='EMAHook', update_buffers=update_buffers)
    runner = toy_runner(tmp_path, [ema, injection(), schedule()])
    runner.train()
    (hook,) = [hook for hook in runner.hooks if isinstance(hook, EMAHook)]
    source, average = runner.model, hook.ema_model.module
    assert [name for name, _ in average.named_buffers()] == [
        name for name, _ in source.named_buffers()
    ]
    for (name, ours), (_, theirs) in zip(
        average.named_buffers(), source.named_buffers(), strict=True
    ):
        assert ours.shape == theirs.shape, name
        if not update_buffers:
            assert torch.equal(ours, theirs), name
    assert len(layers_of(average)) == len(layers_of(source))
    assert not set(layers_of(average)) & set(layers_of(source))


def test_ema_on_resume(tmp_path, safe_globals):
    hooks = [dict(type='EMAHook'), injection(), schedule()]
    toy_runner(tmp_path, hooks, train_cfg=dict(by_epoch=True, max_epochs=1)).train()
    resumed = toy_runner(tmp_path, hooks, resume=True)
    resumed.train()
    (hook,) = [hook for hook in resumed.hooks if isinstance(hook, EMAHook)]
    for ours, theirs in zip(
        hook.ema_model.module.buffers(), resumed.model.buffers(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_ema_before_injection_is_an_error(tmp_path):
    ema = dict(type='EMAHook', priority='HIGHEST')
    with pytest.raises(ValueError, match=r"EMAHook \(priority='HIGHEST'\)"):
        toy_runner(tmp_path, [ema, injection(), schedule()]).train()


def test_evaluation_is_bit_identical_to_the_plain_models(tmp_path):
    torch.manual_seed(0)
    model = toy_classifier()
    plain = copy.deepcopy(model)
    runner = toy_runner(tmp_path, [injection(), schedule()], model=model)
    runner.train()
    plain.load_state_dict(model.state_dict())
    image = torch.randn(2, 3, 32, 32)
    model.eval(), plain.eval()
    assert torch.equal(model(image), plain(image))


def test_training_twice_in_one_process_injects_once(tmp_path):
    runner = toy_runner(tmp_path, [injection(), schedule()])
    runner.train()
    count = len(layers_of(runner.model))
    runner.call_hook('before_run')  # as Runner.test() does after Runner.train()
    assert len(layers_of(runner.model)) == count


@pytest.fixture
def log(monkeypatch):
    """What the runner's logger, which does not propagate, is told."""
    messages = []
    monkeypatch.setattr(
        'mmengine.logging.MMLogger.warning',
        lambda self, text, *args: messages.append(text),
    )
    monkeypatch.setattr(
        'mmengine.logging.MMLogger.info',
        lambda self, text, *args: messages.append(text),
    )
    return messages


def test_the_report_is_logged_once(tmp_path, log):
    toy_runner(tmp_path, [injection(), schedule()]).train()
    announced, report = [text for text in log if 'DropBlock at 6 sites' in text]
    assert announced == 'DropBlock at 6 sites; the table of them follows the first ' + (
        'iteration'
    )
    assert 'backbone.layer4.1' in report


def test_frozen_stages_are_reported(tmp_path, log):
    toy_runner(
        tmp_path,
        [
            injection(dict(module='backbone.layer1'), dict(module='backbone.layer4')),
            schedule(),
        ],
        model=toy_classifier(frozen_stages=1),
    ).train()
    (warning,) = [text for text in log if 'did nothing' in text]
    assert 'at 6 of 12 sites' in warning
    assert 'backbone.layer1.0 (shortcut)' in warning
    assert '6 of them are in eval mode' in warning


def test_sites_that_are_never_called_are_reported(tmp_path, log):
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = toy_classifier().backbone

    model = toy_classifier()
    model.spare = Unused()
    toy_runner(
        tmp_path,
        [injection(dict(module='backbone.layer4'), dict(module='spare')), schedule()],
        model=model,
    ).train()
    (warning,) = [text for text in log if 'did nothing' in text]
    assert 'at 24 of 30 sites' in warning
    assert '0 of them are in eval mode' in warning


# ---- bad input: before training starts, in one message


@pytest.mark.parametrize(
    ('hooks', 'error', 'text'),
    [
        ([schedule()], ValueError, r'KeepProbScheduleHook\(keep_prob=0\.5\) finds no'),
        (
            [injection()],
            ValueError,
            r'targets\[0\]\.keep_prob is not set and there is no',
        ),
        (
            [injection(), injection(), schedule()],
            ValueError,
            'from an earlier injection',
        ),
        (
            [injection(keep_prob=0.7), schedule()],
            ValueError,
            r'keep_prob=0\.5 of KeepProbScheduleHook is used nowhere',
        ),
        (
            [injection(dict(module='backbone.layer9')), schedule()],
            ValueError,
            r"module='backbone\.layer9' matches no module",
        ),
        ([injection(dict(module='head')), schedule()], ValueError, 'no site'),
        (
            [injection(), schedule(end=9, unit='iter')],
            ValueError,
            r"end=9 \(unit='iter'\) lies beyond training, which has 8 iterations",
        ),
    ],
)
def test_bad_runs_end_before_the_first_iteration(tmp_path, hooks, error, text):
    runner = toy_runner(tmp_path, hooks)
    with pytest.raises(error, match=text):
        runner.train()
    assert runner.iter == 0
    assert not list(tmp_path.glob('*.pth'))


@pytest.mark.parametrize(
    ('options', 'error', 'text'),
    [
        (dict(keep_prob=1.5), ValueError, r'keep_prob=1\.5'),
        (dict(keep_prob=float('nan')), ValueError, 'keep_prob=nan'),
        (dict(keep_prob=0.9, start_keep_prob=2), ValueError, 'start_keep_prob=2'),
        (dict(keep_prob=0.9, schedule='lin'), ValueError, "schedule='lin'"),
        (dict(keep_prob=0.9, begin=5, end=2, unit='iter'), ValueError, 'end=2 is not'),
        (dict(keep_prob=0.9, num_steps=0), ValueError, 'num_steps=0.*number of steps'),
        (dict(keep_pob=0.9), TypeError, "Did you mean 'keep_prob'"),
    ],
)
def test_bad_schedules_are_named(options, error, text):
    with pytest.raises(error, match=text):
        KeepProbScheduleHook(**options)


@pytest.mark.parametrize(
    ('options', 'error', 'text'),
    [
        (dict(block_size=0), ValueError, 'block_size=0'),
        (dict(block_size=-1), ValueError, 'block_size=-1'),
        (dict(block_size=1.5), TypeError, r'block_size=1\.5'),
        (dict(keep_prob=-1), ValueError, 'keep_prob=-1'),
        (dict(where='skip'), ValueError, "where='skip'"),
        (dict(taget=[]), TypeError, "Did you mean 'targets'"),
        (dict(targets=[]), ValueError, r'targets=\[\]'),
    ],
)
def test_bad_injections_are_named(options, error, text):
    options = dict(targets=[dict(module='backbone')]) | options
    with pytest.raises(error, match=text):
        DropBlockInjectionHook(**options)


@pytest.mark.parametrize(
    ('hook', 'arguments', 'error'),
    [
        ('KeepProbScheduleHook', dict(keep_prob=1.5), ValueError),
        ('KeepProbScheduleHook', dict(keep_prob='0.9'), TypeError),
        (
            'DropBlockInjectionHook',
            dict(keep_prob=1.5, targets=[dict(module='backbone')]),
            ValueError,
        ),
    ],
)
def test_the_message_says_which_hook(hook, arguments, error):
    with pytest.raises(error, match=f'^{hook}: keep_prob=') as refusal:
        HOOKS.build(dict(type=f'dropblock_mm.{hook}', **arguments))
    assert is_user_mistake(refusal.value)


def test_it_says_so_once():
    with pytest.raises(TypeError) as refusal:
        HOOKS.build(dict(type='dropblock_mm.KeepProbScheduleHook', keep_prb=0.9))
    assert str(refusal.value).count('KeepProbScheduleHook') == 1
