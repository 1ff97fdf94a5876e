import pytest
from mmengine.config import Config

from dropblock_mm.runs import runner


@pytest.mark.parametrize('hooks', [None, [dict(type='A')]])
def test_activation_checkpointing_becomes_a_hook(hooks):
    cfg = Config(dict(custom_hooks=hooks, activation_checkpointing='neck'))
    runner.recompute_with_gradients(cfg)
    ours = dict(type='dropblock_mm.ActivationCheckpointingHook', modules='neck')
    assert cfg.custom_hooks == [*(hooks or []), ours]
    assert 'activation_checkpointing' not in cfg
    runner.recompute_with_gradients(cfg)
    assert cfg.custom_hooks == [*(hooks or []), ours]


def test_channels_last():
    cfg = Config(dict(model=dict(type='A', neck=dict(type='B')), channels_last=True))
    for _ in range(2):  # once is enough
        runner.turn_channels_last(cfg)
        assert cfg.model.type == 'dropblock_mm.ChannelsLast'
        assert cfg.model.model == dict(type='A', neck=dict(type='B'))
    cfg = Config(dict(model=dict(type='A'), channels_last=False))
    runner.turn_channels_last(cfg)
    assert cfg.model == dict(type='A')


@pytest.mark.parametrize(('launcher', 'gpu'), [('none', False), ('pytorch', True)])
def test_otherwise_the_runner_does_it(monkeypatch, launcher, gpu):
    monkeypatch.setattr(runner, 'has_accelerator', lambda: gpu)
    monkeypatch.setattr(runner.Runner, 'from_cfg', lambda cfg: cfg)
    cfg = Config(dict(launcher=launcher))
    assert runner.build_runner(cfg) is cfg
    assert 'model_wrapper_cfg' not in cfg
