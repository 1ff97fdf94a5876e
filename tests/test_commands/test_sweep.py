"""The sweep over a grid, as a user types it."""

import importlib.util
import json
from pathlib import Path

import pytest

from dropblock_mm.testing.toy import EVALUATED_TOY_CONFIG

GRID = ('--keep-prob', '0.5', '1', '--block-size', '1', '--seeds', '0')


@pytest.fixture
def config(tmp_path):
    path = tmp_path / 'toy.py'
    path.write_text(EVALUATED_TOY_CONFIG.replace('max_epochs=3', 'max_epochs=1'))
    return str(path)


@pytest.fixture
def sweep(load_tool, tmp_path, capsys):
    """A function that runs the command to its end, and returns status and output."""

    def run(*argv):
        with pytest.raises(SystemExit) as stop:
            load_tool('sweep').main([*argv, '--work-dir', str(tmp_path / 'work')])
        said = capsys.readouterr()
        return stop.value.code, said.out + said.err

    return run


def test_a_sweep_is_made_and_goes_on(sweep, config, interrupted_at, tmp_path):
    go_on = tmp_path / 'go_on'
    held = f"custom_hooks = [dict(type='HeldHook', file='{go_on}')]\n"
    Path(config).write_text(Path(config).read_text() + held)
    interrupted_at(2)  # with the first training at work
    status, said = sweep(config, *GRID, '--at-once', '2')
    assert status == 130, said
    assert 'interrupted; the same command goes on: ' in said
    content = json.loads((tmp_path / 'work/sweep.json').read_text())
    states = [run['state'] for run in content['runs']]
    assert states == ['not started', 'not started']
    go_on.touch()
    status, said = sweep(config, *GRID, '--at-once', '2')
    assert status == 0, said
    content = json.loads((tmp_path / 'work/sweep.json').read_text())
    names = ['dropblock-c4c5-keep0.5-block1-both-scheduled', 'none']
    assert [point['name'] for point in content['points']] == names
    assert {path.name for path in (tmp_path / 'work').glob('*_seed0')} == {
        f'{name}_seed0' for name in names
    }
    seen = [run['images_seen'] for run in content['runs']]
    assert seen[0] == seen[1]
    assert (tmp_path / 'work/sweep_keep_prob.png').stat().st_size
    assert '![sweep_keep_prob.png]' in (tmp_path / 'work/sweep.md').read_text()
    status, said = sweep(config, *GRID)
    assert status == 0
    assert said.count('finished before') == 2


def test_what_is_no_grid_is_refused_before_training(
    sweep, config, tmp_path, monkeypatch
):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        'find_spec',
        lambda name, *given: None if name == 'submitit' else there(name, *given),
    )
    for argv, expected in {
        ('--keep-prob', '0.9'): 'the grid has one point, dropblock-c4c5-keep0.9',
        ('--keep-prob', '1'): 'the grid has one point, none',
        ('--modules', 'backbone.layr4'): 'backbone.layer4',
        ('--modules', 'backbone.layer4:x'): 'expected MODULE, or MODULE:FACTOR',
        ('--array', '--partition', 'p', '--method', 'drop-path'): '--array needs',
    }.items():
        status, said = sweep(config, *argv)
        assert status == 2, said
        assert expected in said
    assert not list(tmp_path.glob('work/*_seed*'))


@pytest.mark.parametrize(
    ('argv', 'said'),
    [
        (['--keep-prob', '1.5'], "'1.5' is not a number from 0 to 1"),
        (['--keep-prob', 'x'], "'x' is not a number from 0 to 1"),
        (['--method', 'dropuot'], "'dropuot'"),
        (['--array'], '--array needs --partition NAME'),
        (
            ['--array', '--partition', 'p', '--launcher', 'slurm'],
            '--array starts its jobs itself',
        ),
    ],
)
def test_mistyped_options_are_named(refused, config, argv, said):
    assert said in refused('sweep', config, *argv)


def test_the_grid_of_a_figure_is_planned(load_tool, config, tmp_path):
    tool = load_tool('sweep')
    argv = [config, '--figure', '4', '--seeds', '0', '--work-dir', str(tmp_path / 'w')]
    series = tool.make_series(tool.parse_args(argv), argv)
    assert len(series.plan.asked) == 1 + 3 * (4 + 7)
    hooks = [run.cfg.get('custom_hooks') or [] for run in series.plan.asked]
    assert hooks[0] == []
    assert hooks[-1][0]['block_size'] == 14
