"""How the gap between training images and others grows."""

import json

import pytest

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
    assert json.loads(out.with_suffix('.json').read_text()) == {
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


def test_each_run_has_a_colour_and_two_lines():
    curve = {1: {'training images': 3.0, 'unseen images': 2.0}}
    panel = gap_over_training.draw({'a': curve, 'b': curve}, 'mIoU').axes[0]
    lines = [(line.get_label(), line.get_linestyle()) for line in panel.lines]
    assert lines == [
        ('a, training images', '--'),
        ('a, unseen images', '-'),
        ('b, training images', '--'),
        ('b, unseen images', '-'),
    ]
    colours = [line.get_color() for line in panel.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
