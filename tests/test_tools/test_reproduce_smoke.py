"""tools/reproduce.py --smoke as a user runs it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'reproduce.py'
PATIENCE = 300  # seconds, for a step that takes a few


def with_default_signals():
    """A job in the background ignores Ctrl-C, and so do its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def reproduce(tmp_path):
    """A function that starts the tool, in a folder with nothing in it."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}

    def start(*words):
        return subprocess.Popen(
            [sys.executable, str(TOOL), *map(str, words)],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=with_default_signals,
        )

    return start


@pytest.fixture
def finish(reproduce):
    """A function that runs the tool to its end and returns what it said."""

    def run(*words):
        process = reproduce(*words)
        said, _ = process.communicate()
        assert process.returncode == 0, said
        return said

    return run


def wait_for(pattern, log, process):
    """Wait until a pattern is in a file."""
    end = time.monotonic() + PATIENCE
    while not (log.exists() and re.search(pattern, log.read_text())):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, f'no {pattern!r} in {log}'
        time.sleep(0.02)


@pytest.mark.slow
def test_an_interrupted_table_goes_on(reproduce, finish, tmp_path):
    pytest.importorskip('mmdet', reason='needs mmdet')
    pytest.importorskip('sklearn', reason='the embedded data set needs scikit-learn')
    words = ['table3', '--smoke', '--rows', 'scratch', 'block7']
    work_dir = tmp_path / 'work_dirs' / 'table3-smoke'

    # Writing to a pipe that nobody reads waits: the second epoch cannot be saved, and
    # the interrupt finds the training there however fast the machine is.
    blocked = work_dir / 'block7_seed0' / 'epoch_2.pth.part'
    blocked.parent.mkdir(parents=True)
    os.mkfifo(blocked)

    first = reproduce(*words)
    log = work_dir / 'block7_seed0' / 'output.log'
    wait_for(r'Saving checkpoint at 2 epochs', log, first)
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate()
    assert first.returncode == 130, said
    assert '[1/2] scratch, seed 0: AP ' in said
    assert 'Traceback' not in said
    command = 'python tools/reproduce.py table3 --smoke --rows scratch block7'
    assert said.splitlines()[-1] == f'interrupted; the same command goes on: {command}'
    states = [run['state'] for run in read(work_dir, 'table3')['runs']]
    assert states == ['finished', 'interrupted']
    blocked.unlink()

    said = finish(*words)
    assert '[1/2] scratch, seed 0: finished before' in said
    assert re.search(r'block7, seed 0: goes on from \S+/epoch_1\.pth', said)
    assert 'resumed epoch: 1, iter: 4' in log.read_text()
    content = read(work_dir, 'table3')
    assert [len(run['attempts']) for run in content['runs']] == [1, 2]
    check(content, rows=['scratch', 'block7'], metrics=['AP', 'AP50', 'AP75'])
    assert '| block7 ' in (work_dir / 'table3.md').read_text()


def read(work_dir, table):
    return json.loads((work_dir / f'{table}.json').read_text())


def check(content, rows, metrics):
    """A table is complete."""
    assert [row['name'] for row in content['rows']] == rows
    assert [run['state'] for run in content['runs']] == ['finished'] * len(rows)
    for row in content['rows']:
        assert list(row['measured']) == metrics
        assert all(0 <= m['mean'] <= 100 for m in row['measured'].values())


@pytest.mark.nightly
@pytest.mark.parametrize('data', ['embedded', 'coco_tiny'])
def test_all_rows_of_table_3(finish, request, tmp_path, data):
    words = ['table3', '--smoke']
    if data != 'embedded':
        root = request.getfixturevalue('shared_data') / data
        words += ['--data-root', root]
    said = finish(*words, '--work-dir', tmp_path / 'work')
    assert 'failed' not in said
    rows = ['fine-tuned', 'scratch', 'block1', 'block3', 'block5', 'block7']
    metrics = ['AP', 'AP50', 'AP75']
    check(read(tmp_path / 'work', 'table3'), rows=rows, metrics=metrics)


@pytest.mark.nightly
@pytest.mark.parametrize('data', ['embedded', 'voc2012_mini'])
def test_all_rows_of_table_4(finish, request, tmp_path, data):
    pytest.importorskip('mmseg', reason='needs mmseg')
    words = ['table4', '--smoke']
    if data != 'embedded':
        root = request.getfixturevalue('shared_data') / data / 'VOCdevkit' / 'VOC2012'
        words += ['--data-root', root]
        # The data set as it comes, without SBD's masks.
        words += ['--train-ann', 'ImageSets/Segmentation/train.txt']
    said = finish(*words, '--work-dir', tmp_path / 'work')
    assert 'failed' not in said
    rows = ['fine-tuned', 'scratch', 'block1', 'block4', 'block16']
    check(read(tmp_path / 'work', 'table4'), rows=rows, metrics=['mIoU'])


@pytest.mark.nightly
def test_the_studies(finish, shared_data, tmp_path):
    root = shared_data / 'bccd'
    finish('bccd', '--smoke', '--data-root', root, '--work-dir', tmp_path / 'bccd')
    check(
        read(tmp_path / 'bccd', 'bccd'),
        rows=['none', 'block1', 'block7'],
        metrics=['mAP', 'AP50', 'AP75'],
    )
    finish('digit_scenes', '--smoke', '--work-dir', tmp_path / 'scenes')
    check(
        read(tmp_path / 'scenes', 'digit_scenes'),
        rows=['none', 'block1', 'block4'],
        metrics=['mIoU'],
    )


@pytest.mark.nightly
@pytest.mark.parametrize('data', ['embedded', 'clothing'])
def test_all_rows_of_table_1(finish, request, tmp_path, data):
    pytest.importorskip('mmpretrain', reason='needs mmpretrain')
    words = ['table1', '--smoke']
    if data != 'embedded':
        root = request.getfixturevalue('shared_data') / data
        words += ['--data-root', root, '--val-images', 'test']
    said = finish(*words, '--work-dir', tmp_path / 'work')
    assert 'failed' not in said
    rows = [
        *('none', 'dropout', 'drop-path', 'spatial-dropout', 'cutout', 'autoaugment'),
        *('label-smooth', 'dropblock', 'dropblock-label-smooth'),
    ]
    content = read(tmp_path / 'work', 'table1')
    check(content, rows=rows, metrics=['top-1', 'top-5'])
    kept = {run['row']: run['effective_keep_rate'] for run in content['runs']}
    dropping = {'dropout', 'drop-path', 'spatial-dropout', *rows[-2:]}
    assert {row for row, rate in kept.items() if rate is not None} == dropping
