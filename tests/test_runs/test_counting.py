"""What counts epochs in a training of iterations is told before it begins."""

import pytest
from mmengine.config import Config

from dropblock_mm.errors import RefusedValueError
from dropblock_mm.runs.counting import check_counting
from dropblock_mm.testing.toy import toy_runner

ITERATIONS = dict(type='IterBasedTrainLoop', max_iters=4)
STEPS = dict(type='MultiStepLR', milestones=[2], gamma=0.5)
WARM_UP = dict(type='LinearLR', start_factor=0.5, begin=0, end=2)


@pytest.mark.parametrize(
    ('loop', 'schedules', 'named'),
    [
        (ITERATIONS, [dict(WARM_UP, by_epoch=False), STEPS], 'param_scheduler.1.type'),
        (ITERATIONS, dict(STEPS, by_epoch=True), 'param_scheduler.type'),
        (ITERATIONS, dict(encoder=[STEPS]), 'param_scheduler.encoder.0.type'),
        (ITERATIONS, [dict(STEPS, by_epoch=False)], ''),
        (ITERATIONS, [dict(STEPS, convert_to_iter_based=True)], ''),
        (ITERATIONS, [dict(type='ReduceOnPlateauLR', monitor='loss')], ''),
        (ITERATIONS, [dict(type='SomebodysLR')], ''),
        (ITERATIONS, None, ''),
        (dict(by_epoch=True, max_epochs=4), [STEPS], ''),
    ],
)
def test_schedules_that_stand_still_are_refused(loop, schedules, named):
    cfg = Config(dict(train_cfg=loop, param_scheduler=schedules))
    if not named:
        check_counting(cfg)
        return
    with pytest.raises(RefusedValueError, match='counts epochs') as refused:
        check_counting(cfg)
    assert str(refused.value).startswith(f"{named}='MultiStepLR'")


@pytest.mark.parametrize(('by_epoch', 'last'), [(True, 0.01), (False, 0.005)])
def test_mmengine_lets_them_stand_still(tmp_path, by_epoch, last):
    """mmengine 0.10.7: the rate of the last of four iterations."""
    rates = []
    runner = toy_runner(
        tmp_path,
        [],
        train_cfg=dict(by_epoch=False, max_iters=4),
        param_scheduler=[dict(STEPS, by_epoch=by_epoch)],
    )
    step = runner.model.train_step

    def noting(data, optim_wrapper):
        rates.append(optim_wrapper.param_groups[0]['lr'])
        return step(data, optim_wrapper)

    runner.model.train_step = noting
    runner.train()
    assert rates == [0.01, 0.01, last, last]


@pytest.mark.parametrize(
    ('hook', 'warns'),
    [
        (dict(type='CheckpointHook', interval=2), True),
        (dict(type='CheckpointHook', interval=2, by_epoch=False), False),
        (dict(type='CheckpointHook'), False),
        (None, False),
    ],
)
def test_a_checkpoint_at_the_end_alone_is_warned_of(capsys, hook, warns):
    check_counting(
        Config(dict(train_cfg=ITERATIONS, default_hooks=dict(checkpoint=hook)))
    )
    assert ('saved at the end alone' in capsys.readouterr().err) == warns
