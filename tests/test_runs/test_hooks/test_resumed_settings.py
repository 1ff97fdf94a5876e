"""A resumed run says what of the config it does not follow."""

import pytest
from mmengine.hooks import Hook

from dropblock_mm.runs.checkpoints.safe_loading import keep_loading_safe
from dropblock_mm.runs.hooks.resumed_settings import SayResumedSettings
from dropblock_mm.testing.toy import toy_runner

COSINE = dict(type='CosineAnnealingLR', T_max=1, end=1, by_epoch=True)


class Rates(Hook):
    """Keeps the schedule and the warnings of a run."""

    def __init__(self):
        self.warnings, self.longest = [], None

    def before_run(self, runner):
        self._plain, runner.logger.warning = runner.logger.warning, self.warnings.append

    def after_run(self, runner):
        runner.logger.warning = self._plain
        schedules = runner.param_schedulers
        self.longest = schedules[0].T_max if isinstance(schedules, list) else None


def train(folder, epochs, schedules, weight_decay=0.0, lr=0.01, **options):
    rates = Rates()
    runner = toy_runner(
        folder,
        [rates, SayResumedSettings()],
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=lr, weight_decay=weight_decay)
        ),
        param_scheduler=schedules,
        **options,
    )
    runner.train()
    return rates.longest, [t for t in rates.warnings if t.startswith('resuming')]


@pytest.fixture(scope='module')
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp('saved')
    assert train(folder, 1, [COSINE]) == (1, [])
    return str(folder / 'epoch_1.pth')


@pytest.mark.parametrize(
    ('schedules', 'optimizer', 'said'),
    [
        ([COSINE], {}, []),
        (
            [{**COSINE, 'T_max': 2, 'end': 2}],
            {},
            ['param_scheduler.0.T_max=1, not 2', 'param_scheduler.0.end=1, not 2'],
        ),
        (
            [COSINE, dict(type='ConstantLR', factor=0.5)],
            {},
            ['param_scheduler has 1 schedules, not 2'],
        ),
        (
            [COSINE],
            dict(weight_decay=0.1, lr=0.02),
            ['optimizer.lr=0.01, not 0.02', 'optimizer.weight_decay=0.0, not 0.1'],
        ),
    ],
)
def test_what_is_not_followed_is_named(
    tmp_path, saved, load_tool, schedules, optimizer, said
):
    keep_loading_safe()  # which load_tool undoes
    longest, told = train(
        tmp_path, 2, schedules, load_from=saved, resume=True, **optimizer
    )
    assert longest == 1, 'mmengine 0.10.7 goes on with the old schedule'
    assert len(told) == bool(said)
    for part in said:
        assert part in told[0]


def test_weights_alone_bring_no_settings(tmp_path, saved, load_tool):
    keep_loading_safe()
    schedules = [{**COSINE, 'T_max': 2, 'end': 2}]
    assert train(tmp_path, 1, schedules, load_from=saved) == (2, [])
