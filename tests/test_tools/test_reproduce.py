"""What tools/reproduce.py decides and writes, without training anything."""

import importlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config

from dropblock_mm.config_files import config_path
from dropblock_mm.testing.training_logs import write_log

TOOLS = Path(__file__).resolve().parents[2] / 'tools'

# Ghiasi et al. 2018, Tables 3 and 4, typed a second time.
TABLE_3 = """
fine-tuned 36.5 55.0 39.1
scratch 36.8 54.6 39.4
block1 37.9 56.1 40.6
block3 38.3 56.4 41.2
block5 38.4 56.4 41.2
block7 38.2 56.0 40.9
"""
TABLE_4 = """
fine-tuned 74.6
scratch 47.2
block1 51.0
block4 53.2
block16 53.4
"""
TOY_RUN = """
default_scope = 'mmengine'
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2)
"""


@pytest.fixture
def part(monkeypatch):
    """Gives a part of the tool, e.g. part('state'), as the script sees it."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return lambda name: importlib.import_module(f'reproduction.{name}')


@pytest.fixture
def table(part):
    """Gives a table by its name."""
    return lambda name: part('tables').TABLES[name]


@pytest.fixture
def tool(monkeypatch, load_tool):
    """The script as a module."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return load_tool('reproduce')


@pytest.fixture
def refuse(monkeypatch, refused):
    """A function that runs the script, expects a refusal and returns its message."""
    monkeypatch.syspath_prepend(str(TOOLS))
    return lambda *words: refused('reproduce', *map(str, words))


@pytest.fixture
def toy_run(part, table, tmp_path):
    """A function that makes a run of two epochs; its files are not there yet."""

    def make(row='scratch', seed=0):
        name = f'{row}_seed{seed}'
        config = tmp_path / 'configs' / f'{name}.py'
        cfg = Config.fromstring(TOY_RUN, '.py')
        table3 = table('table3')
        return part('plan').Run(table3.row(row), seed, tmp_path / name, config, cfg)

    return make


def save(run, epoch):
    """Leave a checkpoint as MMEngine does."""
    run.work_dir.mkdir(exist_ok=True)
    path = run.work_dir / f'epoch_{epoch}.pth'
    content = {'meta': {'epoch': epoch, 'iter': 4 * epoch}, 'message_hub': {}}
    torch.save({**content, 'state_dict': {'weight': torch.rand(1000)}}, path)
    (run.work_dir / 'last_checkpoint').write_text(str(path))
    return path


def log_evaluation(run, epoch, scale=1.0, started='20200101_000000'):
    """Leave a log of an epoch and of an evaluation after it."""
    metrics = {'coco/bbox_mAP': 0.1, 'coco/bbox_mAP_50': 0.3, 'coco/bbox_mAP_75': 0.2}
    scaled = {key: value * scale for key, value in metrics.items()}
    steps = {'iter': 4 * epoch, 'epoch': epoch, 'step': 4 * epoch}
    write_log(run.work_dir, started, [steps, {**scaled, 'step': epoch}])


class TestTables:
    @pytest.mark.parametrize(
        ('name', 'text'), [('table3', TABLE_3), ('table4', TABLE_4)]
    )
    def test_the_papers_numbers(self, table, name, text):
        found = [
            ' '.join([row.name, *map(str, row.paper.values())])
            for row in table(name).rows
        ]
        assert found == text.split('\n')[1:-1]
        titles = [metric.title for metric in table(name).metrics]
        assert all(list(row.paper) == titles for row in table(name).rows)
        assert f'Table {name[-1]} of Ghiasi et al. 2018' in table(name).source

    @pytest.mark.parametrize('name', ['table3', 'table4', 'bccd', 'digit_scenes'])
    def test_rows_have_the_config_that_they_name(self, table, name):
        for row in table(name).rows:
            path = Path(config_path(row.config))
            for title, value in row.paper.items():
                assert re.search(rf'{value} {title}\b', path.read_text()), path
            hooks = Config.fromfile(path).get('custom_hooks', [])
            blocks = [hook['block_size'] for hook in hooks if 'block_size' in hook]
            assert blocks == [int(size) for size in re.findall(r'block(\d+)', row.name)]


class TestData:
    def write(self, folder, names, file='a.json'):
        categories = [{'id': 9 - i, 'name': name} for i, name in enumerate(names)]
        content = {'images': [], 'annotations': [], 'categories': categories}
        (folder / file).write_text(json.dumps(content))
        return str(folder / file)

    def test_class_names_are_in_the_files_order(self, part, tmp_path):
        path = self.write(tmp_path, ['zebra', 'apple'])
        assert part('data').read_class_names(path) == ('zebra', 'apple')

    @pytest.mark.parametrize(
        ('text', 'said'),
        [
            (None, r'no such file\. Give --data-root'),
            ('{"categories": [', r'not a COCO annotation file \(JSONDecodeError'),
            ('{"images": []}', r"not a COCO annotation file \(KeyError: 'categories'"),
            ('{"categories": []}', 'cannot be told apart: no categories'),
            (
                '{"categories": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}',
                'cannot be told apart: names twice: a',
            ),
        ],
    )
    def test_bad_annotations_are_named(self, part, tmp_path, text, said):
        path = tmp_path / 'a.json'
        if text is not None:
            path.write_text(text)
        with pytest.raises(part('errors').RefusedError, match=said) as error:
            part('data').read_class_names(str(path))
        assert str(path) in str(error.value)

    def test_coco_data_reach_every_place(self, part, table, tmp_path):
        data = part('data')
        for name in ('t.json', 'v.json'):
            self.write(tmp_path, ['cat', 'dog', 'cow'], name)
        given = data.Data(str(tmp_path), 't.json', 'v.json', 'ti/', 'vi/')
        cfg = Config.fromfile(config_path(table('table3').rows[0].config))
        data.use_data(cfg, given)
        for loop, letter in (('train', 't'), ('val', 'v'), ('test', 'v')):
            dataset = cfg[f'{loop}_dataloader'].dataset
            assert dataset.data_root == str(tmp_path)
            assert dataset.ann_file == f'{letter}.json'
            assert dataset.data_prefix == dict(img=f'{letter}i/')
            assert dataset.metainfo == dict(classes=('cat', 'dog', 'cow'))
        assert cfg.val_evaluator.ann_file == str(tmp_path / 'v.json')
        assert cfg.test_evaluator.ann_file == str(tmp_path / 'v.json')
        assert cfg.model.bbox_head.num_classes == 3

    def test_files_must_number_the_classes_alike(self, part, table, tmp_path):
        data = part('data')
        self.write(tmp_path, ['cat', 'dog'], 't.json')
        self.write(tmp_path, ['dog', 'cat'], 'v.json')
        cfg = Config.fromfile(config_path(table('table3').rows[0].config))
        with pytest.raises(part('errors').RefusedError, match='in the same order'):
            data.use_data(cfg, data.Data(str(tmp_path), 't.json', 'v.json'))

    def test_voc_data_replace_both_lists(self, part, table):
        data = part('data')
        cfg = Config.fromfile(config_path(table('table4').rows[1].config))
        data.use_data(cfg, data.embedded_data('voc', 'scenes'))
        dataset = cfg.train_dataloader.dataset
        assert dataset.type == 'BaseSegDataset'
        assert dataset.ann_file == 'ImageSets/Segmentation/train.txt'
        assert dataset.data_prefix.seg_map_path == 'SegmentationClass'
        assert len(dataset.metainfo.classes) == cfg.model.decode_head.num_classes == 11

    def test_a_root_alone_keeps_both_lists(self, part, table):
        data = part('data')
        cfg = Config.fromfile(config_path(table('table4').rows[1].config))
        data.use_data(cfg, data.Data('elsewhere'))
        parts = cfg.train_dataloader.dataset.datasets
        assert [dataset.data_root for dataset in parts] == ['elsewhere', 'elsewhere']
        assert cfg.model.decode_head.num_classes == 21

    def test_no_data_change_nothing(self, part, table):
        path = config_path(table('table3').rows[0].config)
        cfg = Config.fromfile(path)
        part('data').use_data(cfg, part('data').Data())
        assert cfg.to_dict() == Config.fromfile(path).to_dict()

    def test_images_need_a_place(self, part, table):
        data = part('data')
        cfg = Config.fromfile(config_path(table('bccd').rows[0].config))
        with pytest.raises(part('errors').RefusedError, match=r"--train-images 'x'"):
            data.use_data(cfg, data.Data('r', train_images='x'))


class TestShrink:
    @given(
        before=st.integers(2, 600),
        after=st.integers(1, 600),
        first=st.floats(0.1, 0.5),
        second=st.floats(0.5, 1.0),
    )
    def test_schedules_keep_their_proportion(self, before, after, first, second):
        sys.path.insert(0, str(TOOLS))
        try:
            shorten = importlib.import_module('reproduction.shrink').shorten
        finally:
            sys.path.remove(str(TOOLS))
        milestones = [round(before * first), round(before * second)]
        cfg = Config(
            dict(
                train_cfg=dict(max_epochs=before),
                param_scheduler=[
                    dict(type='CosineAnnealingLR', begin=0, end=before, T_max=before),
                    dict(type='MultiStepLR', milestones=milestones),
                ],
            )
        )
        shorten(cfg, after)
        cosine, steps = cfg.param_scheduler
        assert cfg.train_cfg.max_epochs == cosine.end == cosine.T_max == after
        assert cosine.begin == 0
        for old, new in zip(milestones, steps.milestones, strict=True):
            assert abs(new / after - old / before) <= 0.5 / after + 1e-9

    def test_iterations_are_not_epochs(self, part):
        cfg = Config(dict(train_cfg=dict(max_iters=100)))
        with pytest.raises(part('errors').RefusedError, match='--epochs 3 needs'):
            part('shrink').shorten(cfg, 3)

    @pytest.mark.parametrize('name', ['table3', 'table4'])
    def test_a_smoke_run_is_the_same_model_but_small(self, part, table, name):
        row = table(name).rows[-1]
        data = part('data').embedded_data(table(name).embedded, 'scenes')
        changes = part('plan').Changes(data, smoke=True)
        whole = Config.fromfile(config_path(row.config))
        small = part('plan').changed_config(row.config, 0, changes)
        assert small.custom_hooks == whole.custom_hooks
        kinds = [transform.type for transform in small.train_pipeline]
        assert [t.type for t in small.train_dataloader.dataset.pipeline] == kinds
        assert small.model.backbone.depth == whole.model.backbone.depth
        wide = 256 if name == 'table3' else 512
        assert small.model.neck.in_channels[0] == wide // 8
        assert small.val_dataloader.dataset.pipeline[1].scale == (128, 128)
        assert whole.val_dataloader.dataset.pipeline[1].scale[0] > 500
        assert small.train_cfg.max_epochs == 2
        assert small.auto_scale_lr.enable


class TestPlan:
    def plan(self, part, table, work_dir, rows, seeds=(0,), **changes):
        plan = part('plan')
        options = plan.Changes(**changes)
        return plan.make_plan(table('bccd'), rows, seeds, work_dir, options)

    def test_every_row_once_for_each_seed(self, part, table, tmp_path):
        plan = self.plan(part, table, tmp_path, ['none', 'block7'], [3, 5])
        asked = ['none, seed 3', 'block7, seed 3', 'none, seed 5', 'block7, seed 5']
        assert [str(run) for run in plan.asked] == asked
        assert [run.cfg.randomness.seed for run in plan.asked] == [3, 3, 5, 5]
        assert [str(run) for run in plan.known] == [asked[i] for i in (0, 2, 1, 3)]
        assert not list(tmp_path.iterdir())

    def test_configs_are_what_is_written(self, part, table, tmp_path):
        (run,) = self.plan(part, table, tmp_path, ['block7']).asked
        part('plan').write_config(run)
        assert Config.fromfile(run.config).to_dict() == run.cfg.to_dict()

    def test_earlier_runs_are_known(self, part, table, tmp_path):
        for name in ('block1_seed2', 'other_seed0', 'configs'):
            (tmp_path / name).mkdir()
        plan = self.plan(part, table, tmp_path, ['none'])
        assert [str(run) for run in plan.asked] == ['none, seed 0']
        assert [str(run) for run in plan.known] == ['none, seed 0', 'block1, seed 2']

    def test_other_settings_are_refused_by_name(self, part, table, tmp_path):
        (run,) = self.plan(part, table, tmp_path, ['none']).asked
        part('plan').write_config(run)
        run.work_dir.mkdir()
        self.plan(part, table, tmp_path, ['none'], epochs=3)  # nothing was saved yet
        save(run, 1)
        self.plan(part, table, tmp_path, ['none'])
        with pytest.raises(part('errors').RefusedError) as error:
            self.plan(part, table, tmp_path, ['block1'], epochs=3)
        epochs = run.cfg.train_cfg.max_epochs
        assert f'train_cfg.max_epochs: {epochs} before, 3 now' in str(error.value)
        assert 'another --work-dir' in str(error.value)

    def test_options_have_the_last_word(self, part, table, tmp_path):
        options = {'train_cfg.max_epochs': 7, 'model.bbox_head.feat_channels': 8}
        plan = self.plan(part, table, tmp_path, ['none'], epochs=3, options=options)
        assert plan.asked[0].cfg.train_cfg.max_epochs == 7
        assert plan.asked[0].cfg.model.bbox_head.feat_channels == 8

    def test_an_option_that_does_not_fit_is_named(self, part, table, tmp_path):
        said = r'--cfg-options model.type.x=1 does not fit bccd/'
        with pytest.raises(part('errors').RefusedError, match=said):
            self.plan(part, table, tmp_path, ['none'], options={'model.type.x': 1})


class TestState:
    @pytest.fixture
    def state(self, part, table):
        """A function that tells a run's state, by the name of the constant."""
        metrics = table('table3').metrics
        return lambda run: part('state').inspect_run(run, metrics).state.name

    def test_from_nothing_to_the_end(self, state, toy_run, part, table):
        run = toy_run()
        assert state(run) == 'NEW'
        log_evaluation(run, 1)
        assert state(run) == 'NEW'
        save(run, 1)
        assert state(run) == 'INTERRUPTED'
        save(run, 2)
        assert state(run) == 'TRAINED', 'the evaluation is of the first epoch'
        log_evaluation(run, 2, started='20200101_000001')
        assert state(run) == 'FINISHED'
        progress = part('state').inspect_run(run, table('table3').metrics)
        assert progress.metrics == pytest.approx(dict(AP=10, AP50=30, AP75=20))

    @pytest.mark.parametrize('kept', [0, 10, 0.5, -1])
    def test_a_truncated_checkpoint_is_none(self, state, toy_run, kept):
        run = toy_run()
        content = save(run, 2).read_bytes()
        log_evaluation(run, 2)
        assert state(run) == 'FINISHED'
        size = kept if isinstance(kept, int) else int(len(content) * kept)
        (run.work_dir / 'epoch_2.pth').write_bytes(content[:size])
        assert state(run) == 'INTERRUPTED'

    def test_changed_bytes_are_seen(self, state, toy_run):
        run = toy_run()
        path = save(run, 2)
        log_evaluation(run, 2)
        content = bytearray(path.read_bytes())
        middle = len(content) // 2  # in the weights
        content[middle] ^= 255
        path.write_bytes(content)
        assert state(run) == 'INTERRUPTED'

    def test_a_checkpoint_that_is_gone_is_not_final(self, state, toy_run):
        run = toy_run()
        log_evaluation(run, 2)
        save(run, 2).unlink()
        assert state(run) == 'INTERRUPTED'

    def test_a_later_evaluation_counts(self, state, toy_run):
        run = toy_run()
        save(run, 2)
        folder = run.work_dir / 'evaluation' / '20200101_000000'
        folder.mkdir(parents=True)
        (folder / 'a.json').write_text('{"coco/bbox_mAP": 0.5')
        assert state(run) == 'TRAINED', 'cut short'
        metrics = {f'coco/bbox_mAP{end}': 0.5 for end in ('', '_50', '_75')}
        (folder / 'b.json').write_text(json.dumps(metrics))
        assert state(run) == 'FINISHED'

    def test_an_evaluation_without_the_metric_does_not_count(self, state, toy_run):
        run = toy_run()
        save(run, 2)
        write_log(run.work_dir, '20200101_000000', [{'time': 1.0, 'step': 2}])
        assert state(run) == 'TRAINED'


class TestCommands:
    @pytest.fixture
    def following(self, part, toy_run):
        """A function that gives a state's command, as it is shown."""

        def command(state, launcher, checkpoint='c.pth', **options):
            commands, states = part('commands'), part('state')
            progress = states.Progress(states.State[state], Path(checkpoint))
            launch = commands.Launcher(launcher, **options)
            run = toy_run('block7', 3)
            words = commands.next_command(run, progress, launch)
            parent = f'{run.work_dir.parent}/'
            return commands.shown([word.replace(parent, '') for word in words])

        return command

    def test_one_process(self, following):
        train = 'python tools/train.py configs/block7_seed3.py --work-dir block7_seed3'
        assert following('NEW', 'none') == train
        assert following('INTERRUPTED', 'none') == f'{train} --resume'
        assert following('TRAINED', 'none') == (
            'python tools/test.py configs/block7_seed3.py c.pth --work-dir '
            'block7_seed3/evaluation'
        )

    def test_torchrun(self, following):
        train = 'tools/dist_train.sh configs/block7_seed3.py 4 --work-dir block7_seed3'
        assert following('NEW', 'pytorch', gpus=4) == train
        assert following('INTERRUPTED', 'pytorch', gpus=4) == f'{train} --resume'
        assert following('TRAINED', 'pytorch', gpus=4) == (
            'tools/dist_test.sh configs/block7_seed3.py c.pth 4 --work-dir '
            'block7_seed3/evaluation'
        )

    def test_slurm(self, following):
        options = dict(gpus=16, partition='p')
        job = 'p block7_seed3 configs/block7_seed3.py block7_seed3'
        train = f'tools/slurm_train.sh {job}'
        assert following('NEW', 'slurm', **options) == train
        assert following('INTERRUPTED', 'slurm', **options) == f'{train} --resume'
        assert following('TRAINED', 'slurm', **options) == (
            'srun -p p --job-name=block7_seed3 --gres=gpu:1 python tools/test.py '
            'configs/block7_seed3.py c.pth --work-dir block7_seed3/evaluation'
        )

    @pytest.mark.parametrize(
        ('gpus', 'per_node', 'expected'),
        [(16, None, '8'), (2, None, '2'), (16, '4', '4')],
    )
    def test_slurm_is_told_of_the_gpus(
        self, part, monkeypatch, gpus, per_node, expected
    ):
        monkeypatch.delenv('GPUS_PER_NODE', raising=False)
        if per_node:
            monkeypatch.setenv('GPUS_PER_NODE', per_node)
        environment = part('commands').Launcher('slurm', gpus, 'p').environment()
        assert environment['GPUS'] == str(gpus)
        assert environment['GPUS_PER_NODE'] == expected

    def test_scripts_find_this_python_and_this_package(self, part):
        environment = part('commands').Launcher().environment()
        probe = (
            'import sys, importlib.util as find; '
            "print(sys.executable, find.find_spec('dropblock_mm').origin)"
        )
        done = subprocess.run(
            ['bash', '-c', f'python -c "{probe}"'],
            env=environment,
            cwd='/',
            capture_output=True,
            text=True,
            check=True,
        )
        executable, module = done.stdout.split()
        assert Path(executable).samefile(sys.executable)
        assert module.startswith(str(TOOLS.parent))


def python(code):
    return [sys.executable, '-c', code]


class TestProcesses:
    def test_output_is_appended_and_the_status_returned(self, part, tmp_path):
        processes, log = part('processes'), tmp_path / 'log'
        with processes.locked(tmp_path) as lock:
            for number in (3, 0):
                code = f'print({number}); raise SystemExit({number})'
                status = processes.run_command(python(code), log, os.environ, lock)
                assert status == number
        assert log.read_text() == '3\n0\n'
        assert processes.tail(log) == '    3\n    0'
        assert processes.tail(log, start=2) == '    0'

    def test_the_message_is_shown_with_the_end(self, part, tmp_path):
        log = tmp_path / 'log'
        lines = ['warning: a', 'error: b', 'error: b', *map(str, range(30))]
        log.write_text('\n'.join(lines))
        shown = part('processes').tail(log).split()
        assert shown == ['error:', 'b', *map(str, range(15, 30))]

    def test_an_interrupt_ends_the_command_politely(self, part, tmp_path):
        processes, log = part('processes'), tmp_path / 'log'
        code = (
            'import signal, time\n'
            'signal.signal(signal.SIGINT, signal.default_int_handler)\n'
            'try: print("ready", flush=True); time.sleep(60)\n'
            'except KeyboardInterrupt: print("saved")'
        )

        def interrupt(*args):
            if 'ready' not in (log.read_text() if log.exists() else ''):
                signal.setitimer(signal.ITIMER_REAL, 0.05)
                return
            raise KeyboardInterrupt

        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with processes.locked(tmp_path) as lock, pytest.raises(KeyboardInterrupt):
                processes.run_command(python(code), log, os.environ, lock)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert log.read_text() == 'ready\nsaved\n'

    def test_a_deaf_command_is_killed(self, part, tmp_path, monkeypatch):
        processes = part('processes')
        patience = dict.fromkeys(processes.PATIENCE, 0.1)
        monkeypatch.setattr(processes, 'PATIENCE', patience)
        code = (
            'import signal, time\n'
            'for number in (signal.SIGINT, signal.SIGTERM):\n'
            '    signal.signal(number, signal.SIG_IGN)\n'
            'print("ready", flush=True); time.sleep(60)'
        )
        process = subprocess.Popen(
            python(code), stdout=subprocess.PIPE, start_new_session=True
        )
        with process.stdout as output:
            assert output.readline() == b'ready\n'
        processes.stop(process)
        assert process.returncode == -signal.SIGKILL

    def test_a_folder_is_taken_as_long_as_a_command_is_left(self, part, tmp_path):
        processes, refused = part('processes'), part('errors').RefusedError
        with processes.locked(tmp_path) as lock:
            with (
                pytest.raises(refused, match='is at work in'),
                processes.locked(tmp_path),
            ):
                pass
            orphan = subprocess.Popen(python('input()'), pass_fds=[lock], stdin=-1)
        with pytest.raises(refused, match='is at work in'), processes.locked(tmp_path):
            pass
        orphan.communicate(b'\n')
        with processes.locked(tmp_path):
            pass


@pytest.fixture
def series(part, table, toy_run, tmp_path, monkeypatch):
    """A function that makes a series of toy runs; each command is told by its run."""
    module = part('series')

    def make(behave, rows=('scratch', 'block7'), seeds=(0,)):
        runs = [toy_run(row, seed) for seed in seeds for row in rows]

        def next_command(run, progress, launcher):
            return python(behave(run, progress.state.name))

        monkeypatch.setattr(module, 'next_command', next_command)
        monkeypatch.setattr(module.Series, 'prepare', lambda self: None)
        plan = part('plan').Plan(runs, runs)
        launcher = part('commands').Launcher()
        return module.Series(table('table3'), plan, tmp_path, launcher, 'the command')

    return make


def finish(run):
    """Do at once what a training leaves behind."""
    save(run, 2)
    log_evaluation(run, 2, scale=1 + run.seed)
    return 'print("trained")'


class TestSeries:
    def test_a_failing_row_holds_up_no_other(self, series, tmp_path, capsys):
        def behave(run, state):
            if run.row.name == 'scratch':
                return 'print("the reason"); raise SystemExit(7)'
            return finish(run)

        failed = series(behave).run()
        assert failed == [
            f'scratch, seed 0: failed with status 7; see {tmp_path}/scratch_seed0/'
            'output.log'
        ]
        said = capsys.readouterr().out
        assert 'the reason' in said
        assert '1 of 2 runs failed' in said
        content = json.loads((tmp_path / 'table3.json').read_text())
        states = [run['state'] for run in content['runs']]
        assert states == ['not started', 'finished']
        text = (tmp_path / 'table3.md').read_text()
        assert 'Not finished: scratch, seed 0 (not started)' in text

    def test_finished_rows_are_skipped(self, series, toy_run, capsys):
        finish(toy_run('scratch'))
        commands = []

        def behave(run, state):
            commands.append((run.row.name, state))
            return finish(run)

        assert series(behave).run() == []
        assert commands == [('block7', 'NEW')]
        assert 'scratch, seed 0: finished before: AP 10.00' in capsys.readouterr().out

    def test_an_evaluation_that_is_missing_is_made_up_for(self, series):
        seen = []

        def behave(run, state):
            seen.append(state)
            if state == 'NEW':
                save(run, 2)
            else:
                log_evaluation(run, 2)
            return ''

        assert series(behave, rows=['scratch']).run() == []
        assert seen == ['NEW', 'TRAINED']

    def test_no_progress_is_a_failure(self, series):
        def behave(run, state):
            save(run, 2)
            return ''

        (failed,) = series(behave, rows=['scratch']).run()
        assert "the evaluation gave no 'coco/bbox_mAP'" in failed

        def stop_early(run, state):
            save(run, 1)
            return ''

        (failed,) = series(stop_early, rows=['block1']).run()
        assert 'epoch_1.pth is not the whole checkpoint of its end' in failed

    def test_what_was_run_is_noted(self, series, part, tmp_path):
        series(lambda run, state: finish(run), rows=['scratch']).run()
        (note,) = part('record').read_attempts(tmp_path / 'scratch_seed0')
        assert note['status'] == 0
        assert note['started'] <= note['ended']
        assert note['command'].startswith('python -c')
        assert re.match(r'[0-9a-f]{12}|not a git clone', note['commit'])

    def test_an_interrupt_leaves_a_table(self, series, tmp_path, monkeypatch, part):
        one = series(lambda run, state: '')

        def interrupted(*args):
            save(one.plan.asked[0], 1)
            raise KeyboardInterrupt

        monkeypatch.setattr(part('series'), 'run_command', interrupted)
        with pytest.raises(KeyboardInterrupt):
            one.run()
        content = json.loads((tmp_path / 'table3.json').read_text())
        states = [run['state'] for run in content['runs']]
        assert states == ['interrupted', 'not started']
        assert content['runs'][0]['attempts'][0]['ended']


class TestReport:
    def test_mean_and_spread(self, part):
        summary = part('report').Summary((1.0, 2.0, 4.5))
        assert summary.mean == pytest.approx(2.5)
        assert summary.spread == pytest.approx(statistics.stdev([1.0, 2.0, 4.5]))
        assert str(summary) == '2.5 ± 1.8'
        assert str(part('report').Summary((2.0,))) == '2.0'

    def test_several_seeds(self, series, part, tmp_path):
        series(lambda run, state: finish(run), seeds=(0, 1, 2)).run()
        content = json.loads((tmp_path / 'table3.json').read_text())
        scratch = content['rows'][0]
        assert scratch['paper'] == dict(AP=36.8, AP50=54.6, AP75=39.4)
        assert scratch['measured']['AP']['values'] == pytest.approx([10, 20, 30])
        assert scratch['measured']['AP']['mean'] == pytest.approx(20)
        assert scratch['measured']['AP']['standard_deviation'] == pytest.approx(10)
        assert content['environment']['PyTorch'] == torch.__version__
        assert content['command'] == 'the command'
        assert content['commit'] == part('record').commit()
        text = (tmp_path / 'table3.md').read_text()
        cells = [cell.strip() for cell in text.splitlines()[4].split('|')]
        shown = ['36.8', '20.0 ± 10.0', '54.6', '60.0 ± 30.0', '39.4', '40.0 ± 20.0']
        assert cells[1:-1] == ['scratch', 'scratch', *shown, '0, 1, 2']
        assert 'mean ± sample standard deviation' in text
        assert 'smoke' not in text

    def test_what_drop_block_kept_is_told(self, series, tmp_path):
        def behave(run, state):
            save(run, 2)
            log_evaluation(run, 2)
            if run.row.name == 'block7':
                rows = [dict(effective_keep_rate=r, epoch=2) for r in (0.96, 0.94)]
                rows = [
                    {**row, 'iter': 5 + i, 'step': 5 + i} for i, row in enumerate(rows)
                ]
                write_log(run.work_dir, '20190101_000000', rows)
            return ''

        series(behave).run()
        text = (tmp_path / 'table3.md').read_text()
        (plain,) = re.findall(r'^\| scratch, seed 0.*', text, re.MULTILINE)
        (dropped,) = re.findall(r'^\| block7, seed 0.*', text, re.MULTILINE)
        assert plain.split('|')[6].strip() == 'all'
        assert dropped.split('|')[6].strip() == '0.950'
        runs = json.loads((tmp_path / 'table3.json').read_text())['runs']
        rates = [run['effective_keep_rate'] for run in runs]
        assert rates == [None, pytest.approx(0.95)]

    def test_a_study_has_no_column_of_the_paper(self, part, table):
        text = part('report').main_table(table('bccd'), [])
        (head,) = text.splitlines()[:1]
        assert head.split('|')[3].strip() == 'mAP, measured'
        assert 'paper' not in head

    def test_a_smoke_table_says_so(self, series, tmp_path):
        one = series(lambda run, state: finish(run))
        one.smoke, one.data = True, 'data/mine'
        one.run()
        text = (tmp_path / 'table3.md').read_text()
        assert '**A smoke run.** ' in text
        assert ' Measured on: data/mine.' in text


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def same_signals(self):
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.getsignal(number) for number in numbers}
        yield
        for number, handler in before.items():
            signal.signal(number, handler)

    @pytest.mark.parametrize('nohup', [False, True])
    def test_a_closing_terminal_ends_the_run_unless_told_otherwise(self, tool, nohup):
        before = signal.SIG_IGN if nohup else signal.SIG_DFL
        signal.signal(signal.SIGHUP, before)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in the background
        tool.end_politely()
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
            (['table3', '--launcher', 'slurm', '--gpus', '2'], 'needs --partition'),
            (['table3', '--launcher', 'pytorch'], 'needs --gpus'),
            (['table3', '--launcher', 'mpi'], "invalid choice: 'mpi'"),
            (['table3', '--cfg-options', 'a'], "'a' is not KEY=VALUE"),
            (['bccd', '--smoke'], 'bccd --smoke needs --data-root'),
        ],
    )
    def test_bad_words_are_one_message(
        self, refuse, words, said, tmp_path, monkeypatch
    ):
        monkeypatch.chdir(tmp_path)
        assert said in refuse(*words)
        assert not list(tmp_path.iterdir())

    def test_missing_data_are_named_before_anything_runs(self, refuse, tmp_path):
        work_dir = tmp_path / 'work'
        said = refuse('bccd', '--data-root', tmp_path / 'none', '--work-dir', work_dir)
        assert 'train_dataloader.dataset.ann_file' in said
        assert not list(work_dir.glob('*_seed*'))

    def test_a_dry_run_shows_and_leaves_nothing(
        self, tool, capsys, tmp_path, monkeypatch
    ):
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

    def test_seeds(self, tool):
        assert tool.parse_args(['table3']).seeds == [0]
        assert tool.parse_args(['bccd']).seeds == [0, 1, 2]
        assert tool.parse_args(['bccd', '--smoke']).seeds == [0]
        assert tool.parse_args(['bccd', '--seeds', '5', '4', '5']).seeds == [5, 4]

    def test_smoke_tables_have_a_folder_of_their_own(self, tool):
        assert (
            tool.parse_args(['table3', '--smoke']).work_dir == 'work_dirs/table3-smoke'
        )
        assert tool.parse_args(['table3']).work_dir == 'work_dirs/table3'
        assert tool.parse_args(['table3', '--work-dir', 'w']).work_dir == 'w'
