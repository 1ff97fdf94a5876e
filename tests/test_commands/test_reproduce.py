"""What tools/reproduce.py makes of its command line, without training anything."""

import signal
from pathlib import Path

import pytest

from dropblock_mm.commands.arguments import end_politely

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tool(load_tool):
    """The script as a module."""
    return load_tool('reproduce')


@pytest.fixture
def refuse(refused):
    """A function that runs the script, expects a refusal and returns its message."""
    return lambda *words: refused('reproduce', *map(str, words))


@pytest.mark.parametrize('nohup', [False, True])
def test_a_closing_terminal_ends_the_run_unless_told_otherwise(nohup):
    before = signal.SIG_IGN if nohup else signal.SIG_DFL
    signal.signal(signal.SIGHUP, before)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background
    end_politely()
    handler = signal.default_int_handler
    assert signal.getsignal(signal.SIGINT) is handler
    assert signal.getsignal(signal.SIGTERM) is handler
    assert signal.getsignal(signal.SIGHUP) is (before if nohup else handler)


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['table9'], "invalid choice: 'table9'"),
        (['table3', '--rows', 'block9'], 'table3 has the rows fine-tuned, scratch'),
        (['table3', '--seeds', '-1'], 'whole number below'),
        (['table3', '--gpus', '2'], '--gpus needs --launcher'),
        (['table3', '--launcher', 'slurm', '--gpus', '2'], '--partition NAME need'),
        (['table3', '--partition', 'p'], '--partition NAME need each other'),
        (['table3', '--classes', 'cat'], '--classes is for VOC layout'),
        (['table3', '--launcher', 'pytorch'], 'needs --gpus'),
        (['table3', '--launcher', 'mpi'], "invalid choice: 'mpi'"),
        (['table3', '--cfg-options', 'a'], "'a' is not KEY=VALUE"),
        (['bccd', '--smoke'], 'bccd --smoke needs --data-root'),
    ],
)
def test_bad_words_are_one_message(refuse, words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in refuse(*words)
    assert not list(tmp_path.iterdir())


def test_missing_data_are_named_before_anything_runs(refuse, tmp_path):
    work_dir = tmp_path / 'work'
    said = refuse('bccd', '--data-root', tmp_path / 'none', '--work-dir', work_dir)
    assert 'train_dataloader.dataset.ann_file' in said
    assert not list(work_dir.glob('*_seed*'))


def test_a_work_dir_that_is_none_is_one_message(refuse, tmp_path):
    path = tmp_path / 'file'
    path.touch()
    said = refuse('table3', '--smoke', '--work-dir', path)
    assert said.startswith(f"--work-dir '{path}' is no folder to write in (File exists")
    assert refuse('table3', '--smoke', '--work-dir', path / 'below').startswith(
        '--work'
    )


def test_a_dry_run_shows_and_leaves_nothing(tool, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tool.main(['bccd', '--rows', 'none', 'block7', '--dry-run'])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == 'none, seed 0: not started'
    assert lines[3].split()[:3] == [
        'python',
        'tools/train.py',
        'work_dirs/bccd/configs/block7_seed0.py',
    ]
    assert not list(tmp_path.iterdir())


def test_seeds(tool):
    assert tool.parse_args(['table3']).seeds == [0]
    assert tool.parse_args(['bccd']).seeds == [0, 1, 2]
    assert tool.parse_args(['bccd', '--smoke']).seeds == [0]
    assert tool.parse_args(['bccd', '--seeds', '5', '4', '5']).seeds == [5, 4]


def test_smoke_tables_have_a_folder_of_their_own(tool):
    assert tool.parse_args(['table3', '--smoke']).work_dir == 'work_dirs/table3-smoke'
    assert tool.parse_args(['table3']).work_dir == 'work_dirs/table3'
    assert tool.parse_args(['table3', '--work-dir', 'w']).work_dir == 'w'


def test_table_1_on_folders_of_ones_own(tool, capsys, tmp_path):
    """Nothing is trained; the folders are read for their classes."""
    for split in ('train', 'test'):
        for name in ('cat', 'dog'):
            (tmp_path / split / name).mkdir(parents=True)
            (tmp_path / split / name / 'a.jpg').touch()
    own = ('--data-root', str(tmp_path), '--val-images', 'test')
    work = ('--work-dir', str(tmp_path / 'work'))
    tool.main(['table1', '--rows', 'none', '--dry-run', '--smoke', *own, *work])
    assert 'none, seed 0: not started' in capsys.readouterr().out
    assert not (tmp_path / 'work').exists()


def test_table_1_is_trained_three_times(tool):
    """The paper reports means of three runs."""
    assert tool.parse_args(['table1']).seeds == [0, 1, 2]
    assert len(tool.parse_args(['table1']).rows) == 9
