"""Keep rates in the log: one object writes them, under names that loggers take."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest

from dropblock_mm import InjectionHook, KeepRateHook
from dropblock_mm.testing.toy import toy_classifier, toy_runner

TARGETS = [
    dict(module=r'backbone\.layer[34]', keep_prob=0.8),
    dict(module='backbone.layer4', layer='DropPath'),
    dict(module='backbone.layer2', layer='Dropout'),
]
HOOKS = [
    dict(type='dropblock_mm.InjectionHook', block_size=1, targets=TARGETS),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.5),
]
NAMES = {
    'keep_prob',
    'target_keep_prob.backbone.layer_34',
    'effective_keep_rate',
    'target_keep_rate.backbone.layer_34',
    'target_keep_rate.backbone.layer4',
    'target_keep_rate.backbone.layer2',
}


def rows_of(runner):
    path = Path(runner.log_dir, 'vis_data', 'scalars.json')
    return path, [json.loads(line) for line in path.read_text().splitlines()]


def ours(row):
    return {name for name in row if 'keep' in name}


def test_names_are_readable_and_none_is_a_path_into_another(tmp_path):
    runner = toy_runner(tmp_path, HOOKS)
    runner.train()
    _, rows = rows_of(runner)
    assert all(ours(row) == NAMES for row in rows)
    for name in NAMES:
        assert re.fullmatch(r'[A-Za-z0-9_./-]+', name)
        assert not any(other.startswith(f'{name}/') for other in NAMES)
        assert '/' not in name  # see the test of analyze_logs.py


def test_one_object_logs_however_many_hooks_ask(tmp_path):
    plugin = dict(type='dropblock_mm.DropBlock2d', keep_prob=None, block_size=1)
    model = toy_classifier(
        50, plugins=[dict(cfg=plugin, position='after_conv2', stages=(0, 0, 0, 1))]
    )
    hooks = [
        dict(
            type='dropblock_mm.InjectionHook',
            layer=layer,
            targets=[dict(module=module)],
        )
        for layer, module in (
            ('DropPath', 'backbone.layer4'),
            ('Dropout', 'backbone.layer2'),
        )
    ]
    schedule = dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.5)
    runner = toy_runner(tmp_path, [*hooks, schedule], model=model)
    runner.train()
    assert sum(isinstance(hook, KeepRateHook) for hook in runner.hooks) == 1
    # One value for each iteration: who logs twice would double them.
    for name in ('effective_keep_rate', 'target_keep_rate.plugins'):
        assert len(runner.message_hub.get_scalar(f'train/{name}').data[0]) == 8
    _, rows = rows_of(runner)
    parts = [rows[-1][name] for name in ours(rows[-1]) if name.startswith('target_')]
    assert len(parts) == 3
    assert min(parts) < rows[-1]['effective_keep_rate'] < max(parts)


def test_a_config_may_name_it_itself(tmp_path):
    runner = toy_runner(tmp_path, [dict(type='dropblock_mm.KeepRateHook'), *HOOKS])
    runner.train()
    assert sum(isinstance(hook, KeepRateHook) for hook in runner.hooks) == 1
    assert ours(rows_of(runner)[1][-1]) == NAMES


def test_training_twice_logs_once(tmp_path):
    runner = toy_runner(tmp_path, HOOKS)
    runner.train()
    runner.call_hook('before_run')  # as Runner.test() does after Runner.train()
    assert sum(isinstance(hook, KeepRateHook) for hook in runner.hooks) == 1
    (hook,) = [hook for hook in runner.hooks if isinstance(hook, InjectionHook)]
    (logger,) = [hook for hook in runner.hooks if isinstance(hook, KeepRateHook)]
    assert logger.sites == hook.sites


def test_mmdets_own_script_reads_every_scalar(tmp_path):
    """It takes what has a slash for a metric, and all that follows it in the line.

    Its module imports seaborn, for colours; only the function that reads is taken.
    """
    mmdet = pytest.importorskip('mmdet')
    script = 'tools/analysis_tools/analyze_logs.py'
    path = Path(mmdet.__file__).parent / '.mim' / script
    if not path.is_file():
        pytest.skip(f'this mmdet was installed without {script}')
    tree = ast.parse(path.read_text())
    wanted = [
        node
        for node in tree.body
        if getattr(node, 'name', '') == 'load_json_logs'
        or (isinstance(node, ast.ImportFrom) and node.module == 'collections')
        or (isinstance(node, ast.Import) and node.names[0].name == 'json')
    ]
    script = {}
    exec(compile(ast.Module(wanted, []), str(path), 'exec'), script)
    runner = toy_runner(tmp_path, HOOKS)
    runner.train()
    log, rows = rows_of(runner)
    (epochs,) = script['load_json_logs']([str(log)])
    for name in NAMES:
        read = [value for epoch in epochs.values() for value in epoch[name]]
        steps = [step for epoch in epochs.values() for step in epoch['step']]
        assert read == [row[name] for row in rows]
        assert steps == [row['step'] for row in rows]


def test_mmdets_own_script_plots_every_scalar(tmp_path, monkeypatch):
    pytest.importorskip('seaborn', reason="mmdet's analyze_logs.py needs seaborn")
    mmdet = pytest.importorskip('mmdet')
    folder = Path(mmdet.__file__).parent / '.mim/tools/analysis_tools'
    if not folder.is_dir():
        pytest.skip('this mmdet was installed without its tools')
    monkeypatch.syspath_prepend(str(folder))
    import analyze_logs
    import matplotlib.pyplot as plt

    runner = toy_runner(tmp_path, HOOKS)
    runner.train()
    log, rows = rows_of(runner)
    for name in sorted(NAMES):
        out = tmp_path / f'{name}.png'
        options = ['--keys', name, '--out', str(out), '--backend', 'Agg']
        monkeypatch.setattr(sys, 'argv', ['_', 'plot_curve', str(log), *options])
        drawn = []
        monkeypatch.setattr(
            plt, 'savefig', lambda out, drawn=drawn: drawn.extend(plt.gca().lines)
        )
        analyze_logs.main()
        (line,) = drawn
        assert len(line.get_ydata()) == len(rows)
        plt.close('all')


def test_mlflows_file_store_takes_every_scalar(tmp_path, monkeypatch):
    """It keeps a file for each, so that none may be the folder of another."""
    pytest.importorskip('mlflow', reason='mlflow-skinny is not installed')
    monkeypatch.setenv('MLFLOW_ALLOW_FILE_STORE', 'true')  # asked for since 3.17
    store = tmp_path / 'mlflow'
    backends = [dict(type='LocalVisBackend')]
    backends += [dict(type='MLflowVisBackend', save_dir=str(store))]
    runner = toy_runner(
        tmp_path,
        HOOKS,
        visualizer=dict(type='Visualizer', vis_backends=backends),
        cfg=dict(work_dir=str(tmp_path)),
    )
    runner.visualizer.add_config(runner.cfg)
    runner.train()
    _, rows = rows_of(runner)
    for name in NAMES:
        (file,) = store.glob(f'*/*/metrics/{name}')
        shown = [float(line.split()[1]) for line in file.read_text().splitlines()]
        assert shown == pytest.approx([row[name] for row in rows])


def test_tensorboard_takes_every_scalar(tmp_path):
    reader = pytest.importorskip(
        'tensorboard.backend.event_processing.event_accumulator',
        reason='tensorboard is not installed',
    )
    backends = [dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')]
    runner = toy_runner(
        tmp_path, HOOKS, visualizer=dict(type='Visualizer', vis_backends=backends)
    )
    runner.train()
    events = reader.EventAccumulator(str(Path(runner.log_dir, 'vis_data')))
    events.Reload()
    _, rows = rows_of(runner)
    for name in NAMES:
        shown = [event.value for event in events.Scalars(name)]
        assert shown == pytest.approx([row[name] for row in rows])


def test_without_layers_nothing_is_logged(tmp_path):
    runner = toy_runner(tmp_path, [dict(type='dropblock_mm.KeepRateHook')])
    runner.train()
    assert not any(ours(row) for row in rows_of(runner)[1])
