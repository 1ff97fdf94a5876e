"""The estimate of costs: what it reads from configs, counts, times and prints."""

import importlib
import json
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from dropblock_mm.config_files import config_path, resolve_config

FOLDER = Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools'
CONFIGS = FOLDER.parents[1] / 'configs'
DEMO = config_path('demo/retinanet_r18_fpn_dropblock_digit-scenes.py')
SCRATCH = 'retinanet/retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py'
FASTER_RCNN = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_ms-3x_coco.py'
SMALL = ('--image-size', '64', '64', '--steps', '1')


@pytest.fixture
def part(monkeypatch):
    """Gives a part of the tool, e.g. part('step'), as the script sees it."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return lambda name: importlib.import_module(f'cost.{name}')


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """A folder without data: counting those of a data/coco would take a while."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def tool(monkeypatch, load_tool):
    """The script as a module."""
    monkeypatch.syspath_prepend(str(FOLDER))
    return load_tool('analysis_tools/estimate_cost')


def load(name):
    return Config.fromfile(resolve_config(name))


def run_of(dataset, batch_size=2, **loop):
    loader = dict(batch_size=batch_size, dataset=dataset)
    return Config(dict(train_dataloader=loader, train_cfg=loop or dict(max_epochs=12)))


class TestWorkload:
    def test_a_row_of_table_3_has_the_papers_number_of_steps(self, part):
        found = part('workload').workload(load(config_path(SCRATCH)), SCRATCH)
        assert found.images == 150 * 118_287
        assert (found.batch_size, found.gpus) == (8, 8)
        assert found.iterations == pytest.approx(280_000, rel=0.01)

    def test_images_without_objects_are_left_out_where_the_config_says_so(self, part):
        name = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
        found = part('workload').workload(load(name), name)
        assert found.images == 12 * 117_266
        assert found.iterations == 12 * 7330  # as in mmdet's logs

    def test_repeated_and_joined_data_sets(self, part):
        count = part('workload').count_images
        first = dict(ann_file='ImageSets/Segmentation/train.txt', data_root='nowhere')
        second = dict(ann_file='ImageSets/Segmentation/aug.txt')
        both = dict(type='ConcatDataset', datasets=[first, second])
        assert count(both) == 10_582
        assert count(dict(type='RepeatDataset', times=3, dataset=both)) == 3 * 10_582
        assert count(dict(type='MultiImageMixDataset', dataset=first)) == 1_464
        assert count(dict(both, datasets=[first, dict(ann_file='mine.txt')])) is None

    def test_a_run_by_iterations(self, part):
        workload = part('workload').workload
        cfg = run_of(dict(), batch_size=4, type='IterBasedTrainLoop', max_iters=100)
        assert workload(cfg, 'fcn_r50-d8_4xb4-20k_voc12aug').images == 1600
        assert workload(cfg, 'mine').images == 400

    @pytest.mark.parametrize(
        ('name', 'gpus'),
        [
            ('rtmdet_l_8xb32-300e_coco', 8),
            ('rtmdet_l_4xb16-300e_coco', 2),  # the name is of another batch
            ('mine', 2),
        ],
    )
    def test_number_of_gpus(self, part, name, gpus):
        cfg = run_of(dict(), batch_size=32)
        cfg.auto_scale_lr = dict(base_batch_size=64)
        assert part('workload').number_of_gpus(cfg, name) == gpus

    def test_what_is_not_known_is_asked_for(self, part):
        with pytest.raises(ValueError, match=r'mine: the number of .*--num-images'):
            part('workload').workload(run_of(dict(ann_file='mine.json')), 'mine')
        found = part('workload').workload(run_of(dict()), 'mine', num_images=7)
        assert (found.images, found.iterations) == (84, 48)

    def test_images_that_are_there_are_counted(self, part, shared_data):
        cfg = load('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py')
        init_default_scope('mmdet')
        cfg.train_dataloader.dataset.data_root = f'{shared_data / "coco_tiny"}/'
        assert part('workload').workload(cfg, 'tiny').images == 12 * 80

    @pytest.mark.parametrize(
        ('name', 'size'),
        [
            (config_path(SCRATCH), (640, 640)),
            ('mmdet::rtmdet/rtmdet_l_8xb32-300e_coco.py', (640, 640)),
            ('mmdet::atss/atss_r50_fpn_8xb8-amp-lsj-200e_coco.py', (1024, 1024)),
            ('mmseg::fcn/fcn_r50-d8_4xb4-20k_voc12aug-512x512.py', (512, 512)),
            (FASTER_RCNN, None),
        ],
    )
    def test_size_of_images(self, part, name, size):
        assert part('workload').image_size(load(name)) == size

    def test_padding_is_given_width_first(self, part):
        cfg = run_of(dict(pipeline=[dict(type='Pad', size=(640, 480))]))
        cfg.model = dict()
        assert part('workload').image_size(cfg) == (480, 640)


class TestStep:
    def test_operations_of_a_convolution(self, part):
        conv, x = nn.Conv2d(8, 16, 3, bias=False), torch.randn(2, 8, 12, 12)
        forward = 2 * 2 * 16 * 10 * 10 * 8 * 9
        count = part('step').count_flop
        assert count(lambda: conv(x)) == forward
        assert count(lambda: conv(x).sum().backward()) == 2 * forward
        x.requires_grad_()
        assert count(lambda: conv(x).sum().backward()) == 3 * forward

    def test_the_constant_is_that_of_resnet_50(self, part):
        init_default_scope('mmdet')
        with torch.device('meta'):
            backbone = MODELS.build(dict(type='ResNet', depth=50, out_indices=(3,)))
            head, x = nn.Linear(2048, 1000), torch.randn(1, 3, 224, 224)
        step = lambda: head(backbone(x)[0].mean((2, 3))).sum().backward()  # noqa: E731
        counted = part('step').count_flop(step) / 1e12
        assert counted == pytest.approx(part('gpus').RESNET50_TFLOP, rel=1e-3)

    def test_images_cost_the_same_in_any_batch_with_drop_block_or_without(self, part):
        cfg = load(DEMO)
        init_default_scope('mmdet')
        two = part('step').measure(cfg, (64, 64), 2, 'cpu', 1)
        cfg.custom_hooks = []
        three = part('step').measure(cfg, (64, 64), 3, 'cpu', 1)
        assert two.tflop == three.tflop > 0
        assert (two.sites, three.sites) == (12, 0)
        assert two.images_per_second == 2 / two.seconds

    def test_two_stages(self, part):
        init_default_scope('mmdet')
        found = part('step').measure(load(FASTER_RCNN), (64, 64), 1, 'cpu', 1)
        assert found.tflop > 0.01

    def test_drop_block_is_at_its_last_rate(self, part):
        init_default_scope('mmdet')
        cfg = load(DEMO)
        model = MODELS.build(cfg.model)
        assert part('step').add_drop_block(model, cfg) == 12
        assert model.backbone.layer4[0].conv1 is not None
        layers = [m for m in model.modules() if type(m).__name__ == 'DropBlock2d']
        assert {round(float(m.keep_prob), 6) for m in layers} == {0.9}

    def test_warm_up_does_not_count(self, part, monkeypatch):
        step, wall, cores = part('step'), iter([0, 9, 20, 23, 30, 31]), iter(range(6))
        monkeypatch.setattr(step.time, 'perf_counter', lambda: next(wall))
        monkeypatch.setattr(step.time, 'process_time', lambda: next(cores))
        monkeypatch.setitem(step.WARM_UP, 'cpu', 1)
        assert step.median_times(lambda: None, 2, 'cpu') == (2, 1)

    def test_mixed_precision_is_left_to_gpus(self, part):
        cfg = load('mmdet::atss/atss_r50_fpn_8xb8-amp-lsj-200e_coco.py')
        cfg.optim_wrapper.loss_scale = 'dynamic'
        plain, amp = (part('step').optimizer_for(cfg, d) for d in ('cpu', 'cuda'))
        assert (plain['type'], amp['type']) == ('OptimWrapper', 'AmpOptimWrapper')
        assert 'loss_scale' not in plain

    @pytest.mark.parametrize('scope', ['mmdet', 'mmseg'])
    def test_batches_have_a_class_that_every_model_has(self, part, scope):
        model = ConfigDict(roi_head=dict(mask_head=dict()))
        cfg = Config(dict(model=model, default_scope=scope))
        batch = part('step').random_batch(cfg, (32, 48), 3)
        assert [tuple(image.shape) for image in batch['inputs']] == [(3, 32, 48)] * 3
        for sample in batch['data_samples']:
            if scope == 'mmseg':
                assert sample.gt_sem_seg.data.unique().tolist() == [0]
            else:
                assert sample.gt_instances.labels.unique().tolist() == [0]
                assert len(sample.gt_instances.masks) == 7


def test_gpus_keep_below_their_peak(part):
    gpus = part('gpus')
    assert all(0.1 < gpu.utilisation < 0.7 for gpu in gpus.GPUS.values())
    assert gpus.gpu_hours(7200, 2) == 1


class TestPage:
    """docs/en/cost.md: its tables belong to the configs and the rates as they are."""

    text = (FOLDER.parents[1] / 'docs/en/cost.md').read_text()
    folders = ('retinanet', 'retinaseg', 'faster_rcnn', 'mask_rcnn', 'atss', 'rtmdet')
    configs = tuple(
        path for name in folders for path in (CONFIGS / name).glob('*_*.py')
    )

    @pytest.mark.parametrize('path', configs, ids=lambda path: path.stem)
    def test_images_and_hours(self, part, path):
        (row,) = re.findall(
            rf'^\| {path.stem} +\| (.* M .*) \|$', self.text, re.MULTILINE
        )
        images, _, tflop, _, *hours = row.split('|')
        found = part('workload').workload(Config.fromfile(path), path.stem)
        assert images.strip() == f'{found.images / 1e6:.2f} M'
        for printed, gpu in zip(hours, part('gpus').GPUS.values(), strict=True):
            work = found.images * float(tflop)
            expected = part('gpus').gpu_hours(work, gpu.sustained_tflops)
            assert float(printed) == pytest.approx(expected, rel=0.01)

    def test_rates(self, part, monkeypatch):
        monkeypatch.syspath_prepend(str(FOLDER))
        table = part('report').rates_table(list(part('gpus').GPUS))
        assert table.partition('\n\n')[2] in self.text


def test_loading_takes_images_of_another_folder(part, shared_data):
    init_default_scope('mmdet')
    cfg = load(config_path(SCRATCH))
    found = part('loading').measure(cfg, 3, f'{shared_data / "coco_tiny"}/')
    assert found.size == (640, 640)
    assert found.images_per_second > 0


def test_every_data_set_gets_the_folder(part):
    inner = dict(data_root='a', pipeline=[dict(type='Pad', size=(4, 4))])
    wrapped = dict(times=2, dataset=dict(datasets=[inner, dict(type='Other')]))
    found = part('loading').rooted(wrapped, 'b')
    first, second = found['dataset']['datasets']
    assert first == dict(inner, data_root='b')
    assert second == dict(type='Other')
    assert part('loading').rooted(wrapped, None) == wrapped


class TestCommand:
    def test_estimate_without_a_gpu(self, tool, tmp_path, capsys):
        out = tmp_path / 'cost.json'
        tool.main(
            [DEMO, *SMALL, '--num-images', '100', '--load', '0', '--json', str(out)]
        )
        (found,) = json.loads(out.read_text())['estimates']
        assert found['workload']['images'] == 400
        assert found['loading'] is None
        work = 400 * found['step']['tflop']
        for name, gpu in tool.GPUS.items():
            seconds = work / gpu.sustained_tflops
            assert found['gpu_hours'][name] == pytest.approx(seconds / 3600)
        text = capsys.readouterr().out
        assert text.count('retinanet_r18_fpn_dropblock_digit-scenes') == 2
        assert 'of the peak' in text
        assert 'not measured' in text

    def test_a_rate_of_ones_own(self, tool, capsys):
        tool.main([DEMO, *SMALL, '--num-images', '8', '--load', '0', '--tflops', '5'])
        text = capsys.readouterr().out
        assert '5 TFLOPS' in text
        assert 'V100' not in text

    def test_a_gpu_is_timed_and_not_estimated(self, tool, part, monkeypatch):
        monkeypatch.setattr(tool.torch.cuda, 'get_device_name', lambda: 'a GPU')
        args = tool.parse_args([DEMO, '--device', 'cuda'])
        run = part('workload').Workload(8, gpus=8, iterations=1, images=7200)
        step = part('step').Step(1, 2, 2, batch_size=8, sites=0, memory_gib=3)
        assert tool.hours(run, step, args) == {'a GPU': 0.5}
        report = part('report')
        found = report.Estimate(DEMO, (8, 8), run, step, {'a GPU': 0.5}, None)
        text = report.markdown([found], 'cuda', args.gpu)
        assert 'training, measured' in text
        assert 'Assumed' not in text
        assert text.splitlines()[-1].split('|')[-2].strip() == '3.0'

    def test_workers_follow_from_the_two_rates(self, part):
        report = part('report')
        run = part('workload').Workload(8, gpus=8, iterations=1, images=3600)
        step = part('step').Step(1, 1, 1, batch_size=8, sites=0)
        loading = part('loading').Loading(images_per_second=20, size=(8, 8))
        found = report.Estimate('a/b.py', (8, 8), run, step, {'fast': 0.02}, loading)
        assert report.workers_table([found]).splitlines()[-1] == '| b      | 2.5  |'

    @pytest.mark.parametrize(
        ('argv', 'said'),
        [
            ([FASTER_RCNN], 'its images differ in size, and there are none to load'),
            (['configs/no.py'], "config 'configs/no.py' is not a file"),
            ([DEMO, '--amp'], '--amp is for --device cuda'),
            ([FASTER_RCNN, '--load-from', 'no'], "--load-from 'no': "),
        ],
    )
    def test_refusals_are_one_message(self, tool, capsys, argv, said):
        with pytest.raises(SystemExit) as stop:
            tool.main(argv)
        assert stop.value.code == 2
        assert said in capsys.readouterr().err

    def test_no_gpu_no_measurement(self, tool):
        if torch.cuda.is_available():
            pytest.skip('there is a GPU')
        with pytest.raises(SystemExit, match='torch sees no GPU'):
            tool.main([DEMO, '--device', 'cuda'])
