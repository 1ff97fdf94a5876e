"""The demo's segmentation model, trained as a user does, on few and small scenes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        torch.cuda.is_available(), reason='there is a GPU: these tests are for the CPU'
    ),
]
CONFIG = """
_base_ = {base!r}
scenes = dict(
    root={root!r}, num_train=16, num_val=6, image_size=64,
    dataset=dict(data_root={root!r}))
train_dataloader = dict(dataset=scenes)
val_dataloader = dict(batch_size=2, dataset=scenes)
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=3)
default_hooks = dict(logger=dict(interval=1))
env_cfg = dict(dist_cfg=dict(backend='gloo'))
# Twice the same image: the average over equal views changes nothing.
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=0.0)],
        [dict(type='LoadAnnotations')],
        [dict(type='PackSegInputs')]])]
"""


@pytest.fixture
def config(repo_root, tmp_path):
    base = repo_root / 'configs/demo/retinaseg_r18_fpn_dropblock_digit-scenes.py'
    path = tmp_path / 'seg.py'
    path.write_text(CONFIG.format(base=str(base), root=str(tmp_path / 'scenes')))
    return str(path)


def check_schedule(rows, iterations):
    """keep_prob at every iteration, as if the run had never stopped."""
    logged = {row['step']: row for row in rows if 'keep_prob' in row}
    assert sorted(logged) == list(range(1, iterations + 1))
    for step, row in logged.items():
        expected = 1 - 0.1 * (step - 1) / (iterations - 1)
        assert row['keep_prob'] == pytest.approx(expected, abs=1e-6)
    assert 0.85 < logged[iterations]['target_keep_rate.decode_head'] < 1


def metrics(work_dir):
    (path,) = Path(work_dir).glob('*/2*.json')
    return json.loads(path.read_text())


@pytest.mark.parametrize('amp', [(), ('--amp',)], ids=['float32', 'bfloat16'])
def test_is_killed_resumed_and_tested(
    train_until, run_tool, config, tmp_path, scalars, amp
):
    work_dir = str(tmp_path / 'run')
    train = [config, '--work-dir', work_dir, *amp]
    train_until('epoch_2.pth', *train)
    assert 'resumed epoch: 1, iter: 4' in run_tool('train', *train, '--resume')
    rows = scalars(work_dir)
    check_schedule(rows, iterations=12)
    checkpoint = f'{work_dir}/epoch_3.pth'
    for options in ([], ['--tta']):
        out = f'{work_dir}{"".join(options)}'
        run_tool('test', config, checkpoint, '--work-dir', out, *options)
        # --amp trains in bfloat16 and evaluates so; testing is in float32.
        accuracy = pytest.approx(rows[-1]['mIoU'], abs=0.5 if amp else 0)
        assert metrics(out)['mIoU'] == accuracy


def on_two_ranks(script, *argv, folder):
    """Call one of the launchers; return what it printed."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    done = subprocess.run(
        [ROOT / f'tools/{script}.sh', *argv],
        env={**os.environ, 'PATH': path, 'PORT': port, 'OMP_NUM_THREADS': '1'},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def test_two_ranks_train_and_test_as_one(run_tool, config, tmp_path, scalars):
    said = on_two_ranks('dist_train', config, '2', '--work-dir', 'run', folder=tmp_path)
    assert 'the same masks' not in said
    check_schedule(scalars(tmp_path / 'run'), iterations=6)
    checkpoint = str(tmp_path / 'run/epoch_3.pth')
    test = [config, checkpoint]
    on_two_ranks('dist_test', *test, '2', '--work-dir', 'two', folder=tmp_path)
    run_tool('test', *test, '--work-dir', str(tmp_path / 'one'))
    one, two = (metrics(tmp_path / name) for name in ('one', 'two'))
    # Not the last evaluation of the training: there each rank has running
    # statistics of its own, of which the checkpoint holds the first one's.
    assert one['mIoU'] == two['mIoU']
    assert one['mIoU'] > 0
