"""The demo's summary and pictures, from a small made-up run."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dropblock_mm.engine.training_log import read_training_log
from dropblock_mm.testing.training_logs import made_up_rows, write_log

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
ANALYSIS = TOOLS / 'analysis_tools'


@pytest.fixture
def import_tool(monkeypatch):
    """Imports a script as the interpreter would find it when it runs."""

    def load(name: str):
        monkeypatch.syspath_prepend(str(ANALYSIS))
        monkeypatch.syspath_prepend(str(TOOLS))
        return pytest.importorskip(name, reason='the tool needs an extra')

    return load


@pytest.fixture
def work_dir(tmp_path) -> Path:
    write_log(tmp_path, '20200101_000000', made_up_rows())
    return tmp_path


def run_tool(script: Path, *args) -> subprocess.CompletedProcess:
    command = [sys.executable, str(script), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture
def demo(import_tool):
    return import_tool('demo')


def pretend(root: Path, demo, *names: str) -> Path:
    """The files of a run that got so far."""
    work_dir = root / demo.work_dir
    work_dir.mkdir(parents=True, exist_ok=True)
    for name in names:
        (work_dir / name).write_text(str(work_dir / 'epoch_2.pth'))
    return work_dir


class TestDemo:
    @pytest.mark.parametrize(
        ('name', 'metric', 'start'),
        [('det', 'coco/bbox_mAP', 'bbox mAP 0.600'), ('seg', 'mIoU', 'mIoU 0.006')],
    )
    def test_summary_is_read_from_the_log(self, demo, tmp_path, name, metric, start):
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

    def test_a_run_without_drop_block_has_no_summary(self, demo, tmp_path):
        rows = [
            {'loss': 1.0, 'epoch': 1, 'iter': 5, 'step': 5},
            {'coco/bbox_mAP': 0.5, 'step': 1},
        ]
        write_log(tmp_path, '20200101_000000', rows)
        with pytest.raises(ValueError, match='keep_prob'):
            demo.summary_line(demo.DEMOS['det'], read_training_log(tmp_path))

    @pytest.mark.parametrize('name', ['det', 'seg'])
    def test_resumes_only_an_interrupted_run(self, demo, tmp_path, monkeypatch, name):
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

    def test_what_is_finished_is_not_repeated(self, demo, tmp_path, monkeypatch):
        monkeypatch.setattr(demo, 'ROOT', tmp_path)
        both = det, seg = list(demo.DEMOS.values())
        assert demo.to_train(both, False) == both
        pretend(tmp_path, det, *demo.PICTURES)
        assert demo.to_train(both, False) == [seg]
        assert demo.to_train(both, True) == both
        assert demo.to_train([det], False) == [det]
        pretend(tmp_path, seg, *demo.PICTURES)
        assert demo.to_train(both, False) == both

    @pytest.mark.parametrize('name', ['det', 'seg'])
    def test_trains_by_the_plain_command(self, demo, name):
        this = demo.DEMOS[name]
        command = demo.train_command(this, resume=False)
        assert command[1:3] == ['tools/train.py', this.config]
        assert (ROOT / command[1]).is_file()
        assert (ROOT / this.config).is_file()
        assert '--resume' not in command
        assert '--resume' in demo.train_command(this, resume=True)

    @pytest.mark.parametrize('name', ['det', 'seg'])
    def test_pictures_are_drawn_from_the_predictions(self, demo, name):
        this = demo.DEMOS[name]
        plot, draw = demo.picture_commands(this)
        assert plot[2] == this.work_dir
        assert (ROOT / draw[1]).is_file()
        assert f'{this.work_dir}/{this.predictions}' in draw
        assert draw[-1] == f'{this.work_dir}/{demo.PICTURES[1]}'

    def test_names_on_the_command_line(self, demo, capsys):
        assert demo.parse_args([]).names == []
        assert demo.parse_args(['seg', '--fresh']).names == ['seg']
        with pytest.raises(SystemExit):
            demo.parse_args(['sge'])
        assert "NAME='sge' is not one of det, seg" in capsys.readouterr().err

    @pytest.fixture
    def pretended(self, demo, tmp_path, monkeypatch):
        """The demo in an empty folder, where its commands only leave their files."""
        commands = []

        def run(command):
            commands.append(Path(command[1]).stem)
            if 'tools/train.py' in command:
                (this,) = (d for d in demo.DEMOS.values() if d.config in command)
                rows = made_up_rows()
                for row in rows:
                    row['mIoU'] = 50.0 if 'coco/bbox_mAP' in row else 0.0
                write_log(tmp_path / this.work_dir, '20200101_000000', rows)
            elif '--out' in command:
                (tmp_path / command[-1]).touch()
            else:
                (tmp_path / command[-1] / 'training.png').touch()

        monkeypatch.setattr(demo, 'ROOT', tmp_path)
        monkeypatch.setattr(demo, 'run', run)
        return commands

    def run_main(self, demo, monkeypatch, *argv):
        monkeypatch.setattr(sys, 'argv', ['demo.py', *argv])
        demo.main()

    def test_runs_both_and_ends_in_a_line_each(
        self, demo, pretended, monkeypatch, capsys
    ):
        self.run_main(demo, monkeypatch)
        assert pretended == [
            *('train', 'plot_training', 'draw_predictions'),
            *('train', 'plot_training', 'draw_segmentation'),
        ]
        first, second = capsys.readouterr().out.splitlines()
        assert first.startswith('demo: bbox mAP 0.600 | keep_prob 0.993 -> 0.900 | ')
        assert second.startswith('demo: mIoU 0.500 | keep_prob 0.993 -> 0.900 | ')

    def test_interrupted_in_the_second_it_keeps_the_first(
        self, demo, pretended, tmp_path, monkeypatch, capsys
    ):
        self.run_main(demo, monkeypatch, 'det')
        capsys.readouterr()
        pretended.clear()
        self.run_main(demo, monkeypatch)
        assert pretended == ['train', 'plot_training', 'draw_segmentation']
        assert len(capsys.readouterr().out.splitlines()) == 2

    def test_a_failure_is_passed_on(self, demo):
        with pytest.raises(SystemExit) as caught:
            demo.run([sys.executable, '-c', 'raise SystemExit(7)'])
        assert caught.value.code == 7


class TestPlotTraining:
    def test_draws_every_curve(self, import_tool, work_dir):
        plot = import_tool('plot_training')
        figure = plot.plot_training(read_training_log(work_dir))
        loss, accuracy, keep = figure.axes
        labels = [line.get_label() for line in loss.lines + keep.lines]
        assert labels == [
            'loss_bbox',
            'loss_cls',
            'loss (total)',
            'keep_prob (scheduled)',
            'effective_keep_rate, backbone.layer4',
            'effective_keep_rate (all targets)',
        ]
        (curve,) = accuracy.lines
        assert list(curve.get_xdata()) == [20, 40, 60]
        assert list(curve.get_ydata()) == [0.2, 0.4, 0.6]
        assert keep.get_xlabel() == 'iteration'
        assert all(panel.get_ylabel() for panel in figure.axes)

    def test_a_run_without_drop_block_is_drawn_too(self, import_tool, tmp_path):
        rows = [
            {'loss': 1.0, 'epoch': 1, 'iter': 5, 'step': 5},
            {'coco/bbox_mAP': 0.5, 'step': 1},
        ]
        write_log(tmp_path, '20200101_000000', rows)
        plot = import_tool('plot_training')
        figure = plot.plot_training(read_training_log(tmp_path))
        assert [text.get_text() for text in figure.axes[2].texts] == ['no DropBlock']

    def test_from_the_command_line(self, work_dir):
        pytest.importorskip('matplotlib')
        done = run_tool(ANALYSIS / 'plot_training.py', work_dir)
        assert done.returncode == 0, done.stderr
        picture = Image.open(work_dir / 'training.png')
        assert min(picture.size) > 600
        assert len(np.unique(np.asarray(picture.convert('L')))) > 20

    def test_a_wrong_folder_is_one_clear_message(self, tmp_path):
        pytest.importorskip('matplotlib')
        done = run_tool(ANALYSIS / 'plot_training.py', tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith('plot_training: work_dir=')
        assert 'Traceback' not in done.stderr


@pytest.fixture
def detections(tmp_path) -> dict[str, Path]:
    """Three images; one object each in the first two, and predictions for these."""
    for index in range(3):
        picture = np.full((40, 50, 3), 60 * index, np.uint8)
        Image.fromarray(picture).save(tmp_path / f'{index}.png')
    coco = {
        'images': [{'id': index, 'file_name': f'{index}.png'} for index in range(3)],
        'categories': [{'id': 4, 'name': 'three'}, {'id': 9, 'name': 'eight'}],
        'annotations': [
            {'image_id': 0, 'category_id': 4, 'bbox': [5, 5, 10, 20]},
            {'image_id': 1, 'category_id': 9, 'bbox': [20, 10, 10, 20]},
        ],
    }
    results = [
        {'image_id': 0, 'category_id': 4, 'bbox': [5, 5, 10, 18], 'score': 0.9},
        {'image_id': 0, 'category_id': 9, 'bbox': [5, 5, 10, 18], 'score': 0.1},
        {'image_id': 1, 'category_id': 4, 'bbox': [20, 10, 10, 20], 'score': 0.8},
    ]
    (tmp_path / 'coco.json').write_text(json.dumps(coco))
    (tmp_path / 'results.json').write_text(json.dumps(results))
    return {
        'ann_file': tmp_path / 'coco.json',
        'image_dir': tmp_path,
        'results_file': tmp_path / 'results.json',
    }


class TestDrawPredictions:
    def test_reads_truth_and_predictions(self, import_tool, detections):
        draw = import_tool('draw_predictions')
        samples = draw.read_samples(**detections, num_images=5, score_thr=0.3)
        assert [len(sample.truth) for sample in samples] == [1, 1, 0]
        assert [len(sample.predictions) for sample in samples] == [1, 1, 0]
        assert samples[0].predictions[0].label == 'three'
        assert samples[0].image.shape == (40, 50, 3)

    def test_images_are_evenly_spaced(self, import_tool, detections):
        draw = import_tool('draw_predictions')
        samples = draw.read_samples(**detections, num_images=2, score_thr=0.3)
        assert [int(sample.image.max()) for sample in samples] == [0, 120]

    def test_right_means_class_and_place(self, import_tool, detections):
        draw = import_tool('draw_predictions')
        truth = [draw.Box((5, 5, 10, 20), 'three')]
        assert draw.is_right(draw.Box((5, 5, 10, 18), 'three', 0.9), truth)
        assert not draw.is_right(draw.Box((5, 5, 10, 20), 'eight', 0.9), truth)
        assert not draw.is_right(draw.Box((12, 5, 10, 20), 'three', 0.9), truth)
        assert not draw.is_right(draw.Box((5, 5, 10, 20), 'three', 0.9), [])

    def test_iou_of_known_boxes(self, import_tool):
        iou = import_tool('draw_predictions').iou
        assert iou((0, 0, 2, 2), (0, 0, 2, 2)) == 1
        assert iou((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(1 / 3)
        assert iou((0, 0, 2, 2), (5, 5, 2, 2)) == 0

    def test_sheet_shows_pairs_in_their_colours(self, import_tool, detections):
        draw = import_tool('draw_predictions')
        samples = draw.read_samples(**detections, num_images=3, score_thr=0.3)
        figure = draw.draw_sheet(samples, 'title')
        assert len(figure.axes) == 6
        colours = [
            [patch.get_edgecolor() for patch in panel.patches] for panel in figure.axes
        ]
        from matplotlib.colors import to_rgba

        truth, right, wrong = map(to_rgba, (draw.TRUTH, draw.RIGHT, draw.WRONG))
        assert colours == [[truth], [right], [truth], [wrong], [], []]
        texts = [[text.get_text() for text in panel.texts] for panel in figure.axes]
        assert texts[1] == ['three  0.90']

    def test_from_the_command_line(self, detections, tmp_path):
        pytest.importorskip('matplotlib')
        out = tmp_path / 'sheet.png'
        script = ANALYSIS / 'draw_predictions.py'
        done = run_tool(script, *detections.values(), '--out', out)
        assert done.returncode == 0, done.stderr
        assert min(Image.open(out).size) > 200

    def test_missing_results_are_one_clear_message(self, detections, tmp_path):
        pytest.importorskip('matplotlib')
        (tmp_path / 'results.json').unlink()
        done = run_tool(ANALYSIS / 'draw_predictions.py', *detections.values())
        assert done.returncode == 1
        assert 'results.json does not exist; see --help' in done.stderr


@pytest.fixture
def label_maps(tmp_path) -> tuple[Path, Path]:
    """A VOC folder of three images, and predictions for them, of 6 x 8 pixels."""
    folder, predictions = tmp_path / 'voc', tmp_path / 'val'
    for name in ('JPEGImages', 'SegmentationClass', 'ImageSets/Segmentation'):
        (folder / name).mkdir(parents=True)
    predictions.mkdir()
    names = folder / 'ImageSets/Segmentation/val.txt'
    names.write_text('a\nb\nc\n')
    for index, name in enumerate('abc'):
        picture = np.full((6, 8, 3), 60 * index, np.uint8)
        Image.fromarray(picture).save(folder / f'JPEGImages/{name}.jpg')
        truth = np.full((6, 8), index, np.uint8)
        truth[0] = 255
        Image.fromarray(truth).save(folder / f'SegmentationClass/{name}.png')
        Image.fromarray(np.full((6, 8), 1, np.uint8)).save(predictions / f'{name}.png')
    return folder, predictions


class TestDrawSegmentation:
    def test_reads_evenly_spaced_images(self, import_tool, label_maps):
        draw = import_tool('draw_segmentation')
        samples = draw.read_samples(*label_maps, image_set='val', num_images=2)
        assert [int(sample.image.max()) for sample in samples] == [0, 120]
        assert [int(sample.truth[1, 0]) for sample in samples] == [0, 2]
        assert all((sample.prediction == 1).all() for sample in samples)

    def test_sheet_shows_triples_in_the_classes_colours(self, import_tool, label_maps):
        draw = import_tool('draw_segmentation')
        samples = draw.read_samples(*label_maps, image_set='val', num_images=3)
        figure = draw.draw_sheet(samples, ['ground', 'boat', 'car'], 'title')
        assert len(figure.axes) == 9
        assert [panel.get_title() for panel in figure.axes[:3]] == list(draw.HEADINGS)
        maps = [np.asarray(panel.images[0].get_array()) for panel in figure.axes]
        background, boat, car = (maps[index][3, 3] for index in (1, 4, 7))
        assert (background == 0).all()
        assert len({tuple(colour) for colour in (background, boat, car)}) == 3
        assert (maps[5][3, 3] == boat).all()
        assert (maps[4][0] == 1).all(), 'not labelled'
        assert (maps[5][0] == 1).all()
        (legend,) = figure.legends
        assert [text.get_text() for text in legend.texts] == ['ground', 'boat', 'car']
        faces = [patch.get_facecolor()[:3] for patch in legend.get_patches()]
        assert np.allclose(faces, [background, boat, car])

    def test_more_classes_than_colours_still_have_one(self, import_tool):
        draw = import_tool('draw_segmentation')
        colours = draw.colour_of(np.arange(255, dtype=np.uint8))
        assert colours.shape == (255, 3)
        assert (colours[1:] != 0).any(axis=1).all(), 'black is the background alone'

    def test_from_the_command_line(self, label_maps, tmp_path):
        pytest.importorskip('matplotlib')
        out = tmp_path / 'sheet.png'
        script = ANALYSIS / 'draw_segmentation.py'
        done = run_tool(script, *label_maps, '--out', out, '--classes', 'a', 'b', 'c')
        assert done.returncode == 0, done.stderr
        assert min(Image.open(out).size) > 200

    def test_missing_predictions_are_one_clear_message(self, label_maps):
        pytest.importorskip('matplotlib')
        (label_maps[1] / 'b.png').unlink()
        done = run_tool(ANALYSIS / 'draw_segmentation.py', *label_maps)
        assert done.returncode == 1
        assert 'b.png does not exist; see --help' in done.stderr
