import pytest
import torch
from mmengine.config import Config

from dropblock_mm import runs
from dropblock_mm.hooks.fragments import with_fragment


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / 'plain.py'
    path.write_text(
        "custom_hooks = [dict(type='EMAHook', momentum=0.1)]\nrandomness = dict(seed=1)"
    )
    return str(path)


def test_options_reach_the_fragments_hooks(config_file):
    options = {'custom_hooks.0.momentum': 0.2, 'custom_hooks.2.keep_prob': 0.8}
    cfg = runs.load_config(config_file, options, with_fragment('resnet_c5'))
    assert cfg.custom_hooks[0].momentum == 0.2
    assert cfg.custom_hooks[2].keep_prob == 0.8


def test_replacing_the_hooks_does_not_lose_the_fragment(config_file):
    cfg = runs.load_config(
        config_file, {'custom_hooks': []}, with_fragment('resnet_c5')
    )
    assert len(cfg.custom_hooks) == 2


def test_options_win_over_the_fragments_defaults(tmp_path, config_file):
    fragment = tmp_path / 'fragment.py'
    fragment.write_text("custom_hooks = [dict(type='A')]\nload_from = 'a.pth'")
    cfg = runs.load_config(
        config_file, {'load_from': 'b.pth'}, with_fragment(str(fragment))
    )
    assert cfg.load_from == 'b.pth'


def test_work_dir():
    cfg = Config({})
    runs.set_work_dir(cfg, None, 'mmdet::retinanet/retinanet_r50.py', None)
    assert cfg.work_dir == './work_dirs/retinanet_r50'
    runs.set_work_dir(cfg, None, 'other.py')
    assert cfg.work_dir == './work_dirs/retinanet_r50'
    runs.set_work_dir(cfg, 'here', 'other.py')
    assert cfg.work_dir == 'here'


def test_dropblock_has_a_work_dir_of_its_own():
    cfg = Config({})
    runs.set_work_dir(cfg, None, 'configs/a.py', 'resnet_c4c5')
    assert cfg.work_dir == './work_dirs/a-resnet_c4c5'


def test_missing_library():
    with pytest.raises(ModuleNotFoundError, match="default_scope='mmnothing'"):
        runs.prepare_library(Config(dict(default_scope='mmnothing')))
    runs.prepare_library(Config({}))


def resumed(work_dir, given, **config):
    cfg = Config(dict(work_dir=str(work_dir), **config))
    runs.set_resume(cfg, given)
    return cfg.get('resume', False), cfg.get('load_from')


def test_resume(tmp_path):
    assert resumed(tmp_path, None, load_from='w.pth') == (False, 'w.pth')
    assert resumed(tmp_path, 'a.pth', load_from='w.pth') == (True, 'a.pth')
    # Nothing to resume yet: begin as without --resume.
    assert resumed(tmp_path, 'auto', load_from='w.pth') == (False, 'w.pth')
    latest = tmp_path / 'epoch_2.pth'
    torch.save({}, latest)
    (tmp_path / 'last_checkpoint').write_text(str(latest))
    assert resumed(tmp_path, 'auto', load_from='w.pth') == (True, str(latest))
    assert resumed(tmp_path, None, resume=True) == (True, str(latest))
    assert resumed(tmp_path, None, resume=True, load_from='a.pth') == (True, 'a.pth')


@pytest.mark.parametrize(
    ('hooks', 'expected'),
    [
        (None, dict(type='dropblock_mm.CheckpointHook', interval=1)),
        (dict(logger=None), dict(type='dropblock_mm.CheckpointHook', interval=1)),
        (
            dict(checkpoint=dict(type='CheckpointHook', interval=7)),
            dict(type='dropblock_mm.CheckpointHook', interval=7),
        ),
        (dict(checkpoint=None), None),
        (dict(checkpoint=dict(type='MyHook')), dict(type='MyHook')),
    ],
)
def test_checkpoints_are_saved_whole(hooks, expected):
    cfg = Config(dict(default_hooks=hooks))
    runs.save_whole_checkpoints(cfg)
    assert cfg.default_hooks['checkpoint'] == expected
