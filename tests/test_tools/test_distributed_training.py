"""The launchers as a user calls them, with processes on the CPU."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dropblock_mm.testing.toy import TOY_CONFIG

pytestmark = pytest.mark.skipif(
    torch.cuda.is_available(), reason='there is a GPU: these tests are for the CPU'
)
GLOO = 'env_cfg.dist_cfg.backend=gloo'
KILL_ONCE = """
custom_hooks = [dict(
    type='dropblock_mm.KillOnce', rank=1, iteration=3, trace={trace!r})]
custom_imports = dict(imports=[
    'dropblock_mm.testing.toy', 'dropblock_mm.testing.distributed'])
"""
# Stands in for Slurm on one machine.
SRUN = """#!{python}
import os, subprocess, sys
tasks = int([a for a in sys.argv if a.startswith('--ntasks=')][0].partition('=')[2])
command = sys.argv[sys.argv.index('python'):]
jobs = [
    subprocess.Popen(command, env=dict(
        os.environ, SLURM_PROCID=str(i), SLURM_LOCALID=str(i),
        SLURM_NTASKS=str(tasks), SLURM_NODELIST='here', SLURM_NNODES='1'))
    for i in range(tasks)]
sys.exit(max(job.wait() for job in jobs))
"""


@pytest.fixture
def launch(repo_root, tmp_path):
    """A function that calls one of the shell scripts and returns what it printed."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    (tmp_path / 'srun').write_text(SRUN.format(python=sys.executable))
    (tmp_path / 'srun').chmod(0o755)
    path = f'{tmp_path}:{Path(sys.executable).parent}:{os.environ["PATH"]}'
    environment = {
        **os.environ,
        **dict(PATH=path, PORT=port, MASTER_PORT=port, OMP_NUM_THREADS='1'),
    }
    environment.pop('LOCAL_RANK', None)

    def run(script, *argv, **variables):
        process = subprocess.Popen(
            [repo_root / f'tools/{script}.sh', *argv],
            env={**environment, **variables},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=600)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the ranks too
            raise
        assert process.returncode == 0, said[-6000:]
        return said

    return run


@pytest.fixture
def config(tmp_path):
    """The toy's config."""
    path = tmp_path / 'toy.py'
    path.write_text(TOY_CONFIG)
    return path


def steps(rows):
    return {row['step']: row['keep_prob'] for row in rows if 'keep_prob' in row}


def check_schedule(rows, total):
    logged = steps(rows)
    assert list(logged) == list(range(1, total + 1))
    for step, keep_prob in logged.items():
        assert keep_prob == pytest.approx(1 - 0.1 * (step - 1) / (total - 1))


def test_without_gloo(refused, toy_config):
    said = refused('train', toy_config, '--launcher', 'pytorch')
    assert f'--cfg-options {GLOO}' in said


def test_dist_train(launch, config, tmp_path, scalars):
    argv = [str(config), '2', '--dropblock', 'resnet_c5', '--work-dir', 'run']
    said = launch('dist_train', *argv, '--cfg-options', GLOO)
    assert 'the same masks' not in said
    check_schedule(scalars(tmp_path / 'run'), total=6)  # 8 images, 2 a rank, 3 epochs


@pytest.mark.nightly
def test_slurm_train(launch, config, tmp_path, scalars):
    argv = ['gpu', 'job', str(config), 'run', '--dropblock', 'resnet_c5']
    launch('slurm_train', *argv, '--cfg-options', GLOO, GPUS='2', GPUS_PER_NODE='2')
    check_schedule(scalars(tmp_path / 'run'), total=6)


@pytest.mark.nightly
def test_a_killed_rank_comes_back(launch, config, tmp_path, scalars):
    """Torchrun starts all ranks again, and --resume goes on after the checkpoint."""
    trace = tmp_path / 'killed'
    config.write_text(TOY_CONFIG + KILL_ONCE.format(trace=str(trace)))
    argv = [str(config), '2', '--dropblock', 'resnet_c5', '--work-dir', 'run']
    said = launch(
        'dist_train', *argv, '--resume', '--cfg-options', GLOO, MAX_RESTARTS='1'
    )
    assert trace.exists()
    assert 'resumed epoch: 1, iter: 2' in said
    rows = scalars(tmp_path / 'run')
    check_schedule(rows, total=6)
    again = [row['step'] for row in rows if 'keep_prob' in row]
    assert again[again.index(3) :][-4:] == [3, 4, 5, 6]


DETECTOR = """
_base_ = {base!r}
scenes = dict(root={root!r}, num_train=32, num_val=12)
train_dataloader = dict(
    batch_size=4, dataset=dict(dataset=dict(data_root={root!r}), **scenes))
val_dataloader = dict(
    batch_size=4, dataset=dict(dataset=dict(data_root={root!r}), **scenes))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file={root!r} + '/annotations/instances_val.json')
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=2)
# Hardly trained, it is sure of nothing: keep some boxes all the same.
model = dict(test_cfg=dict(score_thr=0.0, max_per_img=10))
default_hooks = dict(logger=dict(interval=1))
env_cfg = dict(dist_cfg=dict(backend='gloo'))
"""


@pytest.mark.nightly
def test_a_detector_on_images(launch, run_tool, repo_root, tmp_path, scalars):
    """Two ranks train and evaluate; two ranks test as one does."""
    base = repo_root / 'configs/demo/retinanet_r18_fpn_dropblock_digit-scenes.py'
    config = tmp_path / 'detector.py'
    root = str(tmp_path / 'scenes')
    config.write_text(DETECTOR.format(base=str(base), root=root))
    launch('dist_train', str(config), '2', '--work-dir', 'run')
    rows = scalars(tmp_path / 'run')
    check_schedule(rows, total=8)
    assert all(row['loss'] < 100 for row in rows if 'loss' in row)

    checkpoint = str(tmp_path / 'run/epoch_2.pth')
    launch('dist_test', str(config), checkpoint, '2', '--work-dir', 'two')
    run_tool('test', str(config), checkpoint, '--work-dir', str(tmp_path / 'one'))
    two, one = (
        json.loads(next((tmp_path / name).glob('*/2*.json')).read_text())
        for name in ('two', 'one')
    )
    assert {k: v for k, v in two.items() if 'mAP' in k} == {
        k: v for k, v in one.items() if 'mAP' in k
    }
    assert rows[-1]['coco/bbox_mAP'] == one['coco/bbox_mAP']


SEGMENTOR = """
_base_ = {base!r}
scenes = dict(root={root!r}, num_train=32, num_val=12)
train_dataloader = dict(
    batch_size=4, dataset=dict(dataset=dict(data_root={root!r}), **scenes))
val_dataloader = dict(
    batch_size=4, dataset=dict(dataset=dict(data_root={root!r}), **scenes))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=2)
default_hooks = dict(logger=dict(interval=1))
env_cfg = dict(dist_cfg=dict(backend='gloo'))
custom_imports = dict(imports=['dropblock_mm.testing.distributed'])
custom_hooks = [
    *_base_.custom_hooks,
    dict(type='dropblock_mm.KillOnce', rank=1, iteration=5, trace={trace!r}),
]
channels_last = True
activation_checkpointing = ['backbone.layer4', 'neck']
"""


@pytest.mark.nightly
def test_a_segmentor_with_everything(launch, repo_root, tmp_path, scalars):
    """Two ranks, bfloat16, channels last, recomputed, killed, resumed, evaluated."""
    name = 'retinaseg_r18_fpn_dropblock-block4_digit-scenes.py'
    config = tmp_path / 'segmentor.py'
    settings = dict(
        base=str(repo_root / 'configs/digit_scenes' / name),
        root=str(tmp_path / 'scenes'),
        trace=str(tmp_path / 'killed'),
    )
    config.write_text(SEGMENTOR.format(**settings))
    argv = [str(config), '2', '--work-dir', 'run', '--amp', '--resume']
    said = launch('dist_train', *argv, MAX_RESTARTS='1')
    assert (tmp_path / 'killed').exists()
    assert 'resumed epoch: 1, iter: 4' in said
    rows = scalars(tmp_path / 'run')
    check_schedule(rows, total=8)
    assert all(row['loss'] < 100 for row in rows if 'loss' in row)
    assert 0 < rows[-1]['mIoU'] < 100
