import fcntl
import os
import zipfile

import numpy as np
import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, HOOKS

from dropblock_mm.testing.toy import ToyImages

INJECT, SCHEDULE = (
    'dropblock_mm.DropBlockInjectionHook',
    'dropblock_mm.KeepProbScheduleHook',
)


class Hostile:
    """Unpickled the unsafe way, it creates a file."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f'touch {self.trace}',)


@pytest.fixture
def hostile(tmp_path):
    """A hostile checkpoint, and the file that appears if it gets its way."""
    path, trace = tmp_path / 'hostile.pth', tmp_path / 'trace'
    torch.save({'state_dict': {}, 'meta': Hostile(trace), 'message_hub': {}}, path)
    return path, trace


def test_train_and_resume(load_tool, toy_config, tmp_path, scalars):
    """The second half, resumed, logs what the schedule says there."""
    main = load_tool('train').main
    work_dir = tmp_path / 'run'
    argv = [toy_config, '--dropblock', 'resnet_c5', '--work-dir', str(work_dir)]
    options = ['--cfg-options', 'experiment_name={}']
    main([*argv, *options[:1], f'experiment_name={tmp_path.name}1'])
    os.remove(work_dir / 'epoch_2.pth')
    (work_dir / 'last_checkpoint').write_text(str(work_dir / 'epoch_1.pth'))
    main([*argv, '--resume', *options[:1], f'experiment_name={tmp_path.name}2'])
    logged = [line for line in scalars(work_dir) if 'keep_prob' in line]
    assert [line['step'] for line in logged] == [*range(1, 9), *range(5, 9)]
    for line in logged:
        assert line['keep_prob'] == pytest.approx(1 - 0.1 * (line['step'] - 1) / 7)
        assert 0 < line['effective_keep_rate'] <= 1


def test_resume_with_nothing_there_yet_starts(load_tool, toy_config, tmp_path):
    work_dir = tmp_path / 'run'
    load_tool('train').main([toy_config, '--resume', '--work-dir', str(work_dir)])
    assert (work_dir / 'epoch_2.pth').is_file()


def test_work_dir_of_a_run_with_dropblock(
    load_tool, toy_config, tmp_path, monkeypatch, scalars
):
    monkeypatch.chdir(tmp_path)
    load_tool('train').main([toy_config, '--dropblock', 'resnet_c5'])
    run = tmp_path / f'work_dirs/{tmp_path.name}-resnet_c5'
    dumped = Config.fromfile(run / f'{tmp_path.name}.py')
    assert [hook.type for hook in dumped.custom_hooks] == [INJECT, SCHEDULE]


@pytest.mark.parametrize(
    ('argv', 'diff_rank_seed'),
    [
        (['--launcher', 'pytorch', '--dropblock', 'resnet_c5'], True),
        (['--launcher', 'pytorch'], None),
        (['--dropblock', 'resnet_c5'], None),
        (
            [
                *['--launcher', 'pytorch', '--dropblock', 'resnet_c5'],
                *['--cfg-options', 'randomness.diff_rank_seed=False'],
            ],
            False,
        ),
    ],
)
def test_ranks_draw_their_own_masks(load_tool, toy_config, argv, diff_rank_seed):
    tool = load_tool('train')
    cfg = tool.make_config(tool.parse_args([toy_config, *argv]))
    assert cfg.get('randomness', {}).get('diff_rank_seed') is diff_rank_seed


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
@pytest.mark.parametrize('dtype', [None, 'float16'])
def test_mixed_precision_recomputed(load_tool, toy_config, tmp_path, scalars, dtype):
    argv = [toy_config, '--dropblock', 'resnet_c5', '--amp', '--work-dir']
    options = ['activation_checkpointing=backbone.layer3', 'channels_last=True']
    options += [f'optim_wrapper.dtype={dtype}'] if dtype else []
    load_tool('train').main([*argv, str(tmp_path), '--cfg-options', *options])
    (dumped,) = tmp_path.glob('2*/vis_data/config.py')
    wrapper = Config.fromfile(dumped).optim_wrapper
    assert wrapper.type == 'CpuAmpOptimWrapper'
    assert wrapper.dtype == (dtype or 'bfloat16')
    assert all(line['loss'] < 10 for line in scalars(tmp_path))


@pytest.mark.parametrize(
    ('argv', 'text'),
    [
        (['no.py'], "config 'no.py' is not a file"),
        (['mmdet::no.py'], "config 'mmdet::no.py'"),
        (['CONFIG', '--dropblock', 'resnet_c6'], "--dropblock 'resnet_c6'"),
        (['CONFIG', '--dropblock', 'no/file.py'], "--dropblock 'no/file.py'"),
        (['CONFIG', '--auto-scale-lr'], 'auto_scale_lr.base_batch_size'),
        (['CONFIG', '--resume', 'no.pth'], "--resume='no.pth': no such file"),
        (
            ['CONFIG', '--cfg-options', 'load_from=no.pth'],
            "load_from='no.pth': no such file",
        ),
        (
            ['CONFIG', '--cfg-options', 'default_scope=mmnone'],
            "default_scope='mmnone'",
        ),
        (['CONFIG', '--cfg-options', 'train_cfg=None'], 'config sets no train_cfg.'),
        (
            ['CONFIG', '--dropblock', 'resnet_c5', '--cfg-options']
            + ['custom_hooks.1.keep_prob=1.5'],
            'keep_prob=1.5 is outside [0, 1]',
        ),
        (
            ['CONFIG', '--dropblock', 'resnet_c5', '--cfg-options']
            + ['custom_hooks.0.block_sise=5'],
            "Did you mean 'block_size'?",
        ),
        (
            ['CONFIG', '--dropblock', 'resnet_c5', '--cfg-options']
            + ['custom_hooks.0.targets.0.module=backbone.layer7'],
            'backbone.layer7',
        ),
        (
            ['CONFIG', '--dropblock', 'resnet_c5', '--cfg-options']
            + ['custom_hooks.5.keep_prob=1'],
            'custom_hooks.5',
        ),
    ],
)
def test_bad_input_is_one_message(refused, toy_config, tmp_path, argv, text):
    argv = [toy_config if word == 'CONFIG' else word for word in argv]
    said = refused('train', *argv, '--work-dir', str(tmp_path / 'run'))
    assert text in said


def test_two_trainings_in_one_folder(refused, toy_config, tmp_path, monkeypatch):
    def is_held(*_):
        raise BlockingIOError

    monkeypatch.setattr(fcntl, 'lockf', is_held)
    said = refused('train', toy_config, '--work-dir', str(tmp_path))
    assert said.startswith(f'--work-dir={str(tmp_path)!r}: another training is at work')
    assert not list(tmp_path.glob('*.pth'))


def test_missing_data(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = refused('train', 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
    assert "train_dataloader.dataset.ann_file='annotations/instances_train" in said
    assert "val_evaluator.ann_file='data/coco/annotations" in said


@pytest.mark.parametrize('how', ['--resume FILE', '--resume', 'load_from'])
def test_hostile_checkpoint(refused, toy_config, hostile, tmp_path, how):
    path, trace = hostile
    (tmp_path / 'last_checkpoint').write_text(str(path))
    argv = {
        '--resume FILE': ['--resume', str(path)],
        '--resume': ['--resume'],
        'load_from': ['--cfg-options', f'load_from={path}'],
    }[how]
    said = refused('train', toy_config, '--work-dir', str(tmp_path), *argv)
    assert f'{how.split()[0]}={str(path)!r} was refused' in said
    assert 'posix.system' in said
    assert not trace.exists()


def test_hostile_checkpoint_that_slips_past_the_check(
    load_tool, toy_config, hostile, tmp_path, monkeypatch
):
    """As if it came from a URL: the runner's own loading has to refuse it."""
    path, trace = hostile
    tool = load_tool('train')
    check = 'dropblock_mm.runs.checkpoints.config_weights.check_checkpoints'
    monkeypatch.setattr(check, lambda cfg, key: None)
    with pytest.raises(Exception, match='weights_only'):
        tool.main([toy_config, '--resume', str(path), '--work-dir', str(tmp_path)])
    assert not trace.exists()


@pytest.fixture
def cut_short(load_tool, toy_config, tmp_path):
    """A finished run whose last checkpoint lost its end, and the command."""
    argv = [toy_config, '--work-dir', str(tmp_path)]
    load_tool('train').main(
        [*argv, '--cfg-options', f'experiment_name={tmp_path.name}1']
    )
    path = tmp_path / 'epoch_2.pth'
    path.write_bytes(path.read_bytes()[:5000])
    return path, argv


def test_a_checkpoint_cut_short_is_refused(refused, cut_short):
    path, argv = cut_short
    said = refused('train', *argv, '--resume', str(path))
    assert f'--resume={str(path)!r} is damaged, cut short' in said


def test_resume_goes_on_from_the_last_whole_checkpoint(load_tool, cut_short, capsys):
    path, argv = cut_short
    load_tool('train').main([*argv, '--resume'])
    said = capsys.readouterr().err
    assert f'{str(path)!r} is missing or cut short; going on from' in said
    assert zipfile.is_zipfile(path)  # whole again


def test_resume_refuses_to_start_anew_where_nothing_is_whole(refused, cut_short):
    path, argv = cut_short
    (path.parent / 'epoch_1.pth').write_bytes(b'')
    assert f'--resume={str(path)!r} is damaged' in refused('train', *argv, '--resume')


def test_a_bug_in_training_keeps_its_traceback(
    load_tool, toy_config, tmp_path, monkeypatch
):
    def fail(self, index):
        raise ValueError('a bug')

    monkeypatch.setattr('dropblock_mm.testing.toy.ToyImages.__getitem__', fail)
    with pytest.raises(ValueError, match='a bug'):
        load_tool('train').main([toy_config, '--work-dir', str(tmp_path)])


@pytest.mark.parametrize(
    ('after', 'said'),
    [(2, 'stopped before the first checkpoint: nothing'), (10, '--resume goes on in')],
)
def test_interrupted(load_tool, toy_config, tmp_path, monkeypatch, capsys, after, said):
    """In the first epoch, or in the second, when one has been saved."""
    left, images = [after], ToyImages.__getitem__

    def interrupt(self, index):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return images(self, index)

    monkeypatch.setattr('dropblock_mm.testing.toy.ToyImages.__getitem__', interrupt)
    with pytest.raises(SystemExit, match=r'^130$'):
        load_tool('train').main([toy_config, '--work-dir', str(tmp_path / 'run')])
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith('stopped')
    assert said in told


def test_interrupted_before_training(load_tool, toy_config, monkeypatch, capsys):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr('dropblock_mm.runs.load_config', interrupt)
    with pytest.raises(SystemExit, match=r'^130$'):
        load_tool('train').main([toy_config])
    told = capsys.readouterr().err
    assert told == 'stopped before training began; nothing was changed\n'


@pytest.mark.parametrize(
    ('work_dir', 'said'),
    [
        ('file', "'{}/file' is not a folder"),
        ('file/run', "'{}/file' is not a folder"),
        ('x' * 300, 'cannot be made: [Errno 36]'),
    ],
)
def test_a_work_dir_that_cannot_be_one(refused, toy_config, tmp_path, work_dir, said):
    (tmp_path / 'file').touch()
    told = refused('train', toy_config, '--work-dir', str(tmp_path / work_dir))
    assert told.startswith('--work-dir=')
    assert said.format(tmp_path) in told


def test_a_work_dir_that_may_not_be_written(refused, toy_config, tmp_path, monkeypatch):
    # Not by its mode: the tests may run as root.
    monkeypatch.setattr('os.access', lambda path, mode: str(path) != str(tmp_path))
    told = refused('train', toy_config, '--work-dir', str(tmp_path / 'run'))
    assert f"cannot be written: '{tmp_path}' gives no permission" in told
    assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('files', [(), ('epoch_2.pth', 'epoch_10.pth')])
@pytest.mark.parametrize('key', ['--resume', 'load_from'])
def test_a_folder_is_no_checkpoint(refused, toy_config, tmp_path, key, files):
    for name in files:
        (tmp_path / name).touch()
    argv = ['--resume', str(tmp_path)]
    if key == 'load_from':
        argv = ['--cfg-options', f'load_from={tmp_path}']
    told = refused('train', toy_config, '--work-dir', str(tmp_path / 'run'), *argv)
    assert told.startswith(f'{key}={str(tmp_path)!r} is a folder')
    assert ('epoch_10.pth' if files else 'It has none of a training') in told


def test_what_is_there_already_is_told(load_tool, toy_config, tmp_path, capsys, caplog):
    """No checkpoint yet with --resume, some without it, and nothing left to do."""
    main, options = load_tool('train').main, ['--cfg-options', 'train_cfg.max_epochs=1']
    argv = [toy_config, '--work-dir', str(tmp_path / 'run')]
    main([*argv, '--resume', *options])
    assert 'has no checkpoint yet; training starts anew' in capsys.readouterr().err
    main([*argv, *options, f'experiment_name={tmp_path.name}2'])
    said = capsys.readouterr().err
    assert 'has checkpoints of an earlier training, up to epoch_1.pth. This one' in said
    main([*argv, '--resume', *options, f'experiment_name={tmp_path.name}3'])
    said = capsys.readouterr()
    assert "epoch_1.pth' is of a finished training, of 1 epochs" in said.out + said.err
    assert 'warning: ' not in said.err


@pytest.mark.parametrize(
    ('option', 'said'),
    [
        ('custom_hooks=3', 'custom_hooks=3 is not a list of hooks'),
        ('custom_hooks=a,b', "custom_hooks.0='a' is not a hook"),
        ('default_hooks=3', 'default_hooks=3 is not a dict of hooks'),
        ('default_hooks.logger=3', 'default_hooks.logger=3 is not a hook'),
        ('custom_hooks.0=3', 'a value in a list is not replaced'),
        ('custom_hooks.0.type=InjectionHook', "type='dropblock_mm.InjectionHook'"),
        ('optim_wrapper.optimizer.type=Addam', "Write type='Adam'"),
    ],
)
def test_hooks_and_names_are_checked_before_anything_is_written(
    refused, toy_config, tmp_path, option, said
):
    with open(toy_config, 'a') as file:
        file.write("\ncustom_hooks = [dict(type='EMAHook')]\n")
    work_dir = tmp_path / 'run'
    argv = ['--work-dir', str(work_dir), '--cfg-options', option]
    assert said in refused('train', toy_config, *argv)
    assert not work_dir.exists()


@DATASETS.register_module()
class TestNamedImages(ToyImages):
    """Images whose metainfo has dicts in it, as one from a config does."""

    metainfo = ConfigDict(classes=('cat', 'dog'), names=dict(cat=dict(latin='Felis')))


@HOOKS.register_module()
class TestKeepsNumbers(Hook):
    """Keeps what only NumPy counts, in the message hub."""

    def after_train_iter(self, runner, *args, **kwargs):
        seen = runner.message_hub.runtime_info.get('seen', np.zeros(1, int))
        runner.message_hub.update_info('seen', seen + 1)


@HOOKS.register_module()
class TestKeepsItself(Hook):
    """Saves what no reader knows."""

    def before_save_checkpoint(self, runner, checkpoint):
        checkpoint['keeps'] = {'state': TestKeepsItself}


def _with(toy_config, text):
    with open(toy_config, 'a') as file:
        file.write(text)
    return toy_config


@pytest.mark.parametrize('strategy', ['cos', 'linear'])
def test_a_run_reads_its_own_checkpoint(load_tool, toy_config, tmp_path, strategy):
    config = _with(
        toy_config,
        f"""
train_dataloader['dataset'] = dict(type='TestNamedImages')
param_scheduler = [
    dict(type='OneCycleLR', eta_max=0.01, total_steps=20, by_epoch=False, end=20,
         anneal_strategy={strategy!r}),
    dict(type='CosineAnnealingLR', T_max=20, by_epoch=False, end=20)]
optim_wrapper['optimizer'] = dict(type='AdamW', lr=0.01)
custom_hooks = [dict(type='EMAHook'), dict(type='TestKeepsNumbers')]
""",
    )
    argv = [config, '--work-dir', str(tmp_path / 'run')]
    name = f'experiment_name={tmp_path.name}'
    load_tool('train').main([*argv, '--cfg-options', name])
    longer = [f'{name}2', 'train_cfg.max_epochs=3']
    load_tool('train').main([*argv, '--resume', '--cfg-options', *longer])
    saved = torch.load(tmp_path / 'run/epoch_3.pth', weights_only=True)
    assert saved['message_hub']['runtime_info']['seen'].tolist() == [12]
    assert saved['meta']['dataset_meta'] == TestNamedImages.metainfo
    assert [part['last_step'] for part in saved['param_schedulers']] == [12, 12]


def test_what_it_could_not_read_is_refused_first(refused, toy_config, tmp_path):
    config = _with(toy_config, "\ncustom_hooks = [dict(type='TestKeepsItself')]\n")
    said = refused('train', config, '--work-dir', str(tmp_path / 'run'))
    assert "checkpoint['keeps']['state'] is of " in said
    assert 'add_safe_globals' in said
    assert list((tmp_path / 'run').glob('*.pth')) == []
