"""What `make demo` runs, resumes, draws and says, from a small made-up run."""

import importlib
import sys
from pathlib import Path

import pytest

from dropblock_mm.runs.training_log import read_training_log
from dropblock_mm.testing.training_logs import made_up_rows, write_log

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def demo():
    return importlib.import_module('tools.demo')


def pretend(root: Path, demo, *names: str) -> Path:
    """The files of a run that got so far."""
    work_dir = root / demo.work_dir
    work_dir.mkdir(parents=True, exist_ok=True)
    for name in names:
        (work_dir / name).write_text(str(work_dir / 'epoch_2.pth'))
    return work_dir


@pytest.mark.parametrize(
    ('name', 'metric', 'start'),
    [
        ('det', 'coco/bbox_mAP', 'bbox mAP 0.600'),
        ('seg', 'mIoU', 'mIoU 0.006'),
        ('cls', 'accuracy/top1', 'top-1 0.006'),
    ],
)
def test_summary_is_read_from_the_log(demo, tmp_path, name, metric, start):
    rows = [
        {metric if key == 'coco/bbox_mAP' else key: row[key] for key in row}
        for row in made_up_rows()
    ]
    write_log(tmp_path, '20200101_000000', rows)
    line = demo.summary_line(demo.DEMOS[name], read_training_log(tmp_path))
    # The last epoch was logged at iterations 45, 50, 55 and 60.
    kept = [(2 - 0.1 * (step - 1) / 59) / 2 for step in (45, 50, 55, 60)]
    assert line == (
        f'demo: {start} | keep_prob 0.993 -> 0.900 '
        f'| effective keep rate {sum(kept) / 4:.3f}'
    )


def test_a_run_without_drop_block_has_no_summary(demo, tmp_path):
    rows = [
        {'loss': 1.0, 'epoch': 1, 'iter': 5, 'step': 5},
        {'coco/bbox_mAP': 0.5, 'step': 1},
    ]
    write_log(tmp_path, '20200101_000000', rows)
    with pytest.raises(ValueError, match='keep_prob'):
        demo.summary_line(demo.DEMOS['det'], read_training_log(tmp_path))


@pytest.mark.parametrize('name', ['det', 'seg', 'cls'])
def test_resumes_only_an_interrupted_run(demo, tmp_path, monkeypatch, name):
    this = demo.DEMOS[name]
    assert not demo.is_unfinished(tmp_path / this.work_dir)
    work_dir = pretend(tmp_path, this, 'last_checkpoint')
    assert not demo.is_unfinished(work_dir), 'the checkpoint is not there'
    (work_dir / 'epoch_2.pth').touch()
    assert demo.is_unfinished(work_dir)
    pretend(tmp_path, this, *demo.PICTURES)
    assert not demo.is_unfinished(work_dir)
    predictions = work_dir / this.predictions
    if predictions.suffix:
        predictions.touch()
    else:
        predictions.mkdir()
    monkeypatch.setattr(demo, 'ROOT', tmp_path)
    demo.forget_earlier_run(this)
    assert [path.name for path in work_dir.iterdir()] == ['epoch_2.pth']


def test_what_is_finished_is_not_repeated(demo, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, 'ROOT', tmp_path)
    all_of_them = det, seg, cls = list(demo.DEMOS.values())
    assert demo.to_train(all_of_them, False) == all_of_them
    pretend(tmp_path, det, *demo.PICTURES)
    assert demo.to_train(all_of_them, False) == [seg, cls]
    assert demo.to_train(all_of_them, True) == all_of_them
    assert demo.to_train([det], False) == [det]
    for this in (seg, cls):
        pretend(tmp_path, this, *demo.PICTURES)
    assert demo.to_train(all_of_them, False) == all_of_them


@pytest.mark.parametrize('name', ['det', 'seg', 'cls'])
def test_trains_by_the_plain_command(demo, name):
    this = demo.DEMOS[name]
    command = demo.train_command(this, resume=False)
    assert command[1:3] == ['tools/train.py', this.config]
    assert (ROOT / command[1]).is_file()
    assert (ROOT / this.config).is_file()
    assert '--resume' not in command
    assert '--resume' in demo.train_command(this, resume=True)


@pytest.mark.parametrize('name', ['det', 'seg', 'cls'])
def test_pictures_are_drawn_from_the_predictions(demo, name):
    this = demo.DEMOS[name]
    plot, draw = demo.picture_commands(this)
    assert plot[2] == this.work_dir
    assert (ROOT / draw[1]).is_file()
    assert f'{this.work_dir}/{this.predictions}' in draw
    assert draw[-1] == f'{this.work_dir}/{demo.PICTURES[1]}'


def test_names_on_the_command_line(demo, capsys):
    assert demo.parse_args([]).names == []
    assert demo.parse_args(['seg', '--fresh']).names == ['seg']
    with pytest.raises(SystemExit):
        demo.parse_args(['sge'])
    assert "NAME='sge' is not one of det, seg" in capsys.readouterr().err


@pytest.fixture
def pretended(demo, tmp_path, monkeypatch):
    """The demo in an empty folder, where its commands only leave their files."""
    commands = []

    def run(command):
        commands.append(Path(command[1]).stem)
        if 'tools/train.py' in command:
            (this,) = (d for d in demo.DEMOS.values() if d.config in command)
            rows = made_up_rows()
            for row in rows:
                row['mIoU'] = 50.0 if 'coco/bbox_mAP' in row else 0.0
                row['accuracy/top1'] = 1.8 * row['mIoU']
            write_log(tmp_path / this.work_dir, '20200101_000000', rows)
        elif '--out' in command:
            (tmp_path / command[-1]).touch()
        else:
            (tmp_path / command[-1] / 'training.png').touch()

    monkeypatch.setattr(demo, 'ROOT', tmp_path)
    monkeypatch.setattr(demo, 'run', run)
    monkeypatch.setattr(demo, 'write_report', lambda demos: None)
    return commands


def run_main(demo, monkeypatch, *argv):
    monkeypatch.setattr(sys, 'argv', ['demo.py', *argv])
    demo.main()


def test_runs_all_and_ends_in_a_line_each(demo, pretended, monkeypatch, capsys):
    run_main(demo, monkeypatch)
    assert pretended == [
        *('train', 'plot_training', 'draw_predictions'),
        *('train', 'plot_training', 'draw_segmentation'),
        *('train', 'plot_training', 'draw_classes'),
    ]
    first, second, third, last = capsys.readouterr().out.splitlines()
    assert last == 'demo: look at work_dirs/demo/report.html'
    assert first.startswith('demo: bbox mAP 0.600 | keep_prob 0.993 -> 0.900 | ')
    assert second.startswith('demo: mIoU 0.500 | keep_prob 0.993 -> 0.900 | ')
    assert third.startswith('demo: top-1 0.900 | keep_prob 0.993 -> 0.900 | ')


def test_interrupted_in_the_second_it_keeps_the_first(
    demo, pretended, tmp_path, monkeypatch, capsys
):
    run_main(demo, monkeypatch, 'det')
    capsys.readouterr()
    pretended.clear()
    run_main(demo, monkeypatch)
    assert pretended == [
        *('train', 'plot_training', 'draw_segmentation'),
        *('train', 'plot_training', 'draw_classes'),
    ]
    assert len(capsys.readouterr().out.splitlines()) == 4


def test_stopped_in_the_last_evaluation_it_trains_anew(demo, tmp_path, monkeypatch):
    """A resumed run has nothing left to train, and skips the evaluation."""
    monkeypatch.setattr(demo, 'ROOT', tmp_path)
    det, resumed = demo.DEMOS['det'], []
    work_dir = pretend(tmp_path, det, 'last_checkpoint')
    (work_dir / 'epoch_2.pth').touch()
    rows = made_up_rows()
    write_log(work_dir, '20200101_000000', rows[:-1])

    def run(command):
        if 'tools/train.py' in command:
            resumed.append('--resume' in command)
            if not resumed[-1]:
                write_log(work_dir, '20200101_000001', rows)

    monkeypatch.setattr(demo, 'run', run)
    demo.train_and_draw(det, fresh=False)
    assert resumed == [True, False]


def test_a_failure_is_passed_on(demo):
    with pytest.raises(SystemExit) as caught:
        demo.run([sys.executable, '-c', 'raise SystemExit(7)'])
    assert caught.value.code == 7


def test_it_ends_with_a_report_of_its_runs(demo, tmp_path, monkeypatch):
    (tmp_path / 'data/scenes').mkdir(parents=True)
    (tmp_path / 'data/scenes/1.jpg').touch()
    commands = []
    monkeypatch.setattr(demo, 'ROOT', tmp_path)
    monkeypatch.setattr(demo, 'run', commands.append)
    both = list(demo.DEMOS.values())[:2]
    demo.write_report(both)
    assert [Path(command[1]).stem for command in commands] == [
        *('masks', 'activation_maps'),
        *('masks', 'activation_maps'),
        'report',
    ]
    assert 'data/scenes/1.jpg' in commands[0]
    assert [d.work_dir for d in both] == commands[-1][2:4]
    for command in commands:
        name = Path(command[1]).stem
        importlib.import_module(f'dropblock_mm.commands.{name}').parse_args(command[2:])
        assert (ROOT / command[1]).is_file()
