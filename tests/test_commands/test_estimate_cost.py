"""The command that estimates costs, and docs/en/cost.md."""

import json
import re
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from dropblock_mm.analysis.cost.gpus import GPUS, gpu_hours
from dropblock_mm.analysis.cost.report import rates_table
from dropblock_mm.analysis.cost.workload import workload
from dropblock_mm.config_files import config_path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / 'docs/en/cost.md').read_text()
FOLDERS = ('retinanet', 'retinaseg', 'faster_rcnn', 'mask_rcnn', 'atss', 'rtmdet')
CONFIGS = [path for name in FOLDERS for path in (ROOT / 'configs' / name).glob('*.py')]
DEMO = config_path('demo/retinanet_r18_fpn_dropblock_digit-scenes.py')
FASTER_RCNN = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_ms-3x_coco.py'
SMALL = ('--image-size', '64', '64', '--steps', '1')


@pytest.fixture
def tool(load_tool):
    """The command as a module."""
    return load_tool('estimate_cost')


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """A folder without data: counting those of a data/coco would take a while."""
    monkeypatch.chdir(tmp_path)


def test_estimate_without_a_gpu(tool, tmp_path, capsys):
    out = tmp_path / 'cost.json'
    tool.main([DEMO, *SMALL, '--num-images', '100', '--load', '0', '--json', str(out)])
    (found,) = json.loads(out.read_text())['estimates']
    assert found['workload']['images'] == 400
    assert found['loading'] is None
    work = 400 * found['step']['tflop']
    for name, gpu in GPUS.items():
        seconds = work / gpu.sustained_tflops
        assert found['gpu_hours'][name] == pytest.approx(seconds / 3600)
    text, told = capsys.readouterr()
    assert '3/3' in told  # no images, the counted step, the timed one
    assert text.count('retinanet_r18_fpn_dropblock_digit-scenes') == 2
    assert 'of the peak' in text
    assert 'not measured' in text


def test_a_rate_of_ones_own(tool, capsys):
    tool.main([DEMO, *SMALL, '--num-images', '8', '--load', '0', '--tflops', '5'])
    text = capsys.readouterr().out
    assert '5 TFLOPS' in text
    assert 'V100' not in text


@pytest.mark.parametrize(
    ('argv', 'said'),
    [
        ([FASTER_RCNN], 'its images differ in size, and there are none to load'),
        (['configs/no.py'], "config 'configs/no.py' is not a file"),
        ([DEMO, '--amp'], '--amp is for --device cuda'),
        ([FASTER_RCNN, '--load-from', 'no'], "--load-from 'no': "),
    ],
)
def test_refusals_are_one_message(tool, capsys, argv, said):
    with pytest.raises(SystemExit) as stop:
        tool.main(argv)
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_no_gpu_no_measurement(tool):
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    with pytest.raises(SystemExit, match='torch sees no GPU'):
        tool.main([DEMO, '--device', 'cuda'])


def row_of(path):
    """The cells of a config in the page's tables of costs."""
    (row,) = re.findall(rf'^\| {path.stem} +\| (.* M .*) \|$', PAGE, re.MULTILINE)
    return row.split('|')


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_page_has_the_images_and_hours(path):
    images, _, tflop, _, *hours = row_of(path)
    found = workload(Config.fromfile(path), path.stem)
    assert images.strip() == f'{found.images / 1e6:.2f} M'
    for printed, gpu in zip(hours, GPUS.values(), strict=True):
        work = found.images * float(tflop)
        expected = gpu_hours(work, gpu.sustained_tflops)
        assert float(printed) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_the_config_says_what_the_page_says(path):
    hours = dict(zip(GPUS, map(float, row_of(path)[4:]), strict=True))
    text = path.read_text().split('"""')[1]
    said = re.findall(r'(\d+)(?: GPU hours)?\s+on (?:an? )?(V100|A100)', text)
    assert said
    for number, gpu in said:
        known = [value for name, value in hours.items() if name.startswith(gpu)]
        assert any(float(number) == pytest.approx(v, rel=0.05, abs=0.5) for v in known)


def test_the_page_has_the_rates():
    table = rates_table(list(GPUS))
    assert table.partition('\n\n')[2] in PAGE


def test_gpus_keep_below_their_peak():
    assert all(0.1 < gpu.utilisation < 0.7 for gpu in GPUS.values())
    assert gpu_hours(7200, 2) == 1
