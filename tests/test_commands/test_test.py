import os
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config


class Hostile:
    """Unpickled the unsafe way, it creates a file."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f'touch {self.trace}',)


def test_hostile_checkpoint(refused, toy_config, tmp_path):
    path, trace = tmp_path / 'hostile.pth', tmp_path / 'trace'
    torch.save({'state_dict': Hostile(trace)}, path)
    said = refused('test', toy_config, str(path))
    assert f'CHECKPOINT={str(path)!r} was refused' in said
    assert not trace.exists()


def test_missing_checkpoint(refused, toy_config):
    assert "CHECKPOINT='no.pth'" in refused('test', toy_config, 'no.pth')


def test_a_folder_is_no_checkpoint(refused, toy_config, tmp_path):
    said = refused('test', toy_config, str(tmp_path))
    assert f'CHECKPOINT={str(tmp_path)!r} is a folder; expected a checkpoint' in said


@pytest.mark.parametrize(
    ('is_runs', 'given', 'expected'),
    [
        (True, [], 'RUN'),
        (True, ['--work-dir', 'here'], 'here'),
        (False, [], './work_dirs/CONFIG'),
    ],
)
def test_it_logs_where_the_checkpoint_was_trained(
    load_tool, toy_config, tmp_path, is_runs, given, expected
):
    """Not in the folder of the config, which may be that of another training."""
    run = tmp_path / 'run'
    run.mkdir()
    torch.save({'state_dict': {}}, run / 'epoch_2.pth')
    if is_runs:
        (run / 'last_checkpoint').touch()
    tool = load_tool('test')
    with open(toy_config, 'a') as file:
        file.write(
            '\ntest_dataloader, test_cfg = {**train_dataloader}, dict()\n'
            "test_evaluator = dict(type='Accuracy')\n"
        )
    argv = [toy_config, str(run / 'epoch_2.pth'), *given]
    cfg = tool.make_config(tool.parse_args(argv))
    names = {'RUN': str(run), 'CONFIG': tmp_path.name}
    for name, value in names.items():
        expected = expected.replace(name, value)
    assert cfg.work_dir == expected


def test_missing_data(refused, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({'state_dict': {}}, tmp_path / 'a.pth')
    said = refused(
        'test', 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', str(tmp_path / 'a.pth')
    )
    assert "test_dataloader.dataset.ann_file='annotations/instances_val2017" in said


@pytest.mark.parametrize(
    ('argv', 'text'),
    [
        (['--out', 'res'], "--out 'res': give a file that ends in .pkl"),
        (['--tta'], '--tta needs tta_model and tta_pipeline'),
        (['--show'], '--show and --show-dir need default_hooks.visualization'),
        (['--classwise'], 'test_evaluator has Accuracy. Leave it out.'),
    ],
)
def test_options_that_do_not_fit_are_one_message(refused, tmp_path, argv, text):
    checkpoint, config = tmp_path / 'a.pth', tmp_path / 'a.py'
    torch.save({'state_dict': {}}, checkpoint)
    config.write_text(
        "model = dict(type='A')\ntest_dataloader, test_cfg = dict(), dict()\n"
        "test_evaluator = dict(type='Accuracy')"
    )
    assert text in refused('test', str(config), str(checkpoint), *argv)


def test_a_config_without_a_test(refused, toy_config, tmp_path):
    torch.save({'state_dict': {}}, tmp_path / 'a.pth')
    said = refused('test', toy_config, str(tmp_path / 'a.pth'))
    missing = 'no test_dataloader and no test_cfg and no test_evaluator'
    assert said.startswith(f'the config sets {missing}. Add what is missing')


def test_out_must_be_a_pickle_file(load_tool):
    tool = load_tool('test')
    with pytest.raises(ValueError, match=r"--out 'results'.*\.pkl"):
        tool.check_out(Config(dict(default_scope='mmdet')), 'results')
    tool.check_out(Config(dict(default_scope='mmdet')), 'results.pkl')


def test_mmseg_writes_label_maps(load_tool):
    cfg = Config(dict(default_scope='mmseg', test_evaluator=dict(type='IoUMetric')))
    load_tool('test').check_out(cfg, 'maps')
    assert cfg.test_evaluator.output_dir == 'maps'
    assert cfg.test_evaluator.keep_results is True


def painted(tool, scope, *argv):
    cfg = Config(
        dict(
            default_scope=scope,
            default_hooks=dict(visualization=dict(type='Hook')),
            visualizer=dict(type='Visualizer'),
        )
    )
    tool.paint_predictions(cfg, tool.parse_args(['c.py', 'a.pth', *argv]))
    return cfg


def test_show(load_tool):
    hook = painted(load_tool('test'), 'mmdet', '--show').default_hooks.visualization
    assert (hook.draw, hook.show, hook.wait_time) == (True, True, 2)


def test_show_dir(load_tool):
    tool = load_tool('test')
    detector = painted(tool, 'mmdet', '--show-dir', 'here')
    assert detector.default_hooks.visualization.test_out_dir == 'here'
    assert painted(tool, 'mmseg', '--show-dir', 'here').visualizer.save_dir == 'here'


def test_show_without_the_hook(load_tool):
    tool = load_tool('test')
    with pytest.raises(ValueError, match=r'default_hooks\.visualization'):
        tool.paint_predictions(Config({}), tool.parse_args(['c.py', 'a.pth', '--show']))


def test_classwise(load_tool):
    tool = load_tool('test')
    for evaluator in (
        dict(type='CocoMetric'),
        [dict(type='mmdet.CocoMetric'), dict(type='Other')],
        dict(type='Evaluator', metrics=[dict(type='LVISMetric')]),
    ):
        cfg = Config(dict(default_scope='mmdet', test_evaluator=evaluator))
        tool.report_classes(cfg)
        assert tool.metric_configs(cfg)[0].classwise is True


def test_classwise_where_it_is_so_anyway(load_tool):
    cfg = Config(dict(test_evaluator=dict(type='IoUMetric')))
    load_tool('test').report_classes(cfg)
    assert cfg.test_evaluator == dict(type='IoUMetric')


def test_classwise_of_another_metric(load_tool):
    cfg = Config(dict(test_evaluator=dict(type='Accuracy')))
    with pytest.raises(ValueError, match=r'test_evaluator has Accuracy\. Leave'):
        load_tool('test').report_classes(cfg)


@pytest.mark.parametrize(
    ('argv', 'expected'),
    [([], ['tested']), (['--coco-eval', 'faster'], ['evaluator', 'tested'])],
)
def test_coco_eval(load_tool, monkeypatch, argv, expected):
    tool, done = load_tool('test'), []
    runner = SimpleNamespace(
        test_evaluator='evaluator',
        test=lambda: done.append('tested'),
        register_hook=lambda hook, priority: None,
    )
    monkeypatch.setattr(tool, 'make_config', lambda args: Config({}))
    monkeypatch.setattr('dropblock_mm.runs.build_runner', lambda cfg: runner)
    match = 'dropblock_mm.runs.coco_eval.match_faster'
    monkeypatch.setattr(match, done.append)
    tool.main(['c.py', 'a.pth', *argv])
    assert done == expected
