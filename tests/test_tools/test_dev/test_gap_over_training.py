"""How the gap between training images and others grows."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config

from tools.dev import gap_over_training

SAID = {'none_seed0.py': 40.0, 'none_seed0_on_training.py': 60.0}


@pytest.fixture
def evaluated(monkeypatch):
    """What was evaluated; on training images it grows by the epoch."""
    asked = []

    def evaluate(config, checkpoint, metric):
        asked.append((config, checkpoint, metric))
        epoch = int(checkpoint.stem.removeprefix('epoch_'))
        return SAID[config.name] + epoch * ('on_training' in config.name)

    monkeypatch.setattr(gap_over_training, 'evaluated', evaluate)
    return asked


def test_every_checkpoint_is_evaluated_on_and_off_training_images(evaluated, tmp_path):
    run = tmp_path / 'none_seed0'
    run.mkdir()
    for name in ('epoch_20.pth', 'epoch_100.pth', 'best_epoch_20.pth', 'log.txt'):
        (run / name).touch()
    out = tmp_path / 'gap'
    words = [
        str(tmp_path),
        '--runs',
        'none_seed0',
        '--metric',
        'mAP',
        '--out',
        str(out),
    ]
    gap_over_training.main(words)
    found = json.loads(out.with_suffix('.json').read_text())
    assert found.pop('command').endswith(f'--metric mAP --out {out}')
    assert found == {
        'figure': 'gap',
        'metric': 'mAP',
        'runs': {
            'none_seed0': {
                '20': {'training images': 80.0, 'unseen images': 40.0},
                '100': {'training images': 160.0, 'unseen images': 40.0},
            }
        },
    }
    assert out.with_suffix('.png').stat().st_size
    assert {config.parent for config, _, _ in evaluated} == {tmp_path / 'configs'}
    assert {metric for _, _, metric in evaluated} == {'mAP'}


def test_a_run_without_checkpoints_of_epochs_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'none_seed0 has no epoch_\*\.pth'):
        gap_over_training.curve_of(tmp_path, 'none_seed0', 'mAP')


def test_what_evaluators_return_can_be_written_down(monkeypatch, tmp_path):
    from dropblock_mm import runs

    runner = SimpleNamespace(test=lambda: {'mIoU': np.float32(12.5)})
    monkeypatch.setattr(runs, 'load_config', lambda path: Config())
    monkeypatch.setattr(runs, 'prepare_library', lambda cfg: None)
    monkeypatch.setattr(runs, 'build_runner', lambda cfg: runner)
    value = gap_over_training.evaluated(
        tmp_path / 'a.py', tmp_path / 'epoch_1.pth', 'mIoU'
    )
    assert json.dumps(value) == '12.5'


CURVES = {
    'plain_seed0': {1: {'training images': 3.0, 'unseen images': 2.0}},
    'plain_seed1': {1: {'training images': 5.0, 'unseen images': 1.0}},
    'dropped_seed0': {1: {'training images': 3.0, 'unseen images': 2.5}},
}


def test_the_mean_of_an_arm_is_that_of_its_seeds():
    means = {
        arm: gap_over_training.mean_of(runs)
        for arm, runs in gap_over_training.by_arm(CURVES).items()
    }
    assert means == {
        'plain': {1: {'training images': 4.0, 'unseen images': 1.5}},
        'dropped': {1: {'training images': 3.0, 'unseen images': 2.5}},
    }


def test_each_arm_has_a_colour_and_two_lines_in_the_legend():
    panel = gap_over_training.draw(CURVES, 'mIoU').axes[0]
    lines = [line for line in panel.lines if not line.get_label().startswith('_')]
    assert [(line.get_label(), line.get_linestyle()) for line in lines] == [
        ('plain, training images', '--'),
        ('plain, unseen images', '-'),
        ('dropped, training images', '--'),
        ('dropped, unseen images', '-'),
    ]
    colours = [line.get_color() for line in lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert len(panel.lines) == 6 + 4, 'a thin line for each run too'
