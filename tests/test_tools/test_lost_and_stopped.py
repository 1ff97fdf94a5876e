"""What ends trainings beside kill -9 and full disks, each for real; nightly.

SIGTERM of a scheduler, several starts in one folder, a folder that may only be read,
data whose disk is unmounted, and a process of two that dies.
"""

import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from dropblock_mm.errors import RefusedFileError
from dropblock_mm.runs.folders import check_work_dir
from dropblock_mm.testing.processes import Fault, start_script
from dropblock_mm.testing.small_detector import small_detector
from dropblock_mm.testing.small_models import write_images
from dropblock_mm.testing.toy import TOY_CONFIG

pytestmark = pytest.mark.nightly
LONG = TOY_CONFIG.replace('max_epochs=3', 'max_epochs=2000')
SAVING = {
    'before it is written': ('open', r'epoch_2\.pth\.part$', 1),
    'written, but not in place': ('os.rename', r'epoch_2\.pth\.part$', 1),
    'in place, but not named': ('open', r'last_checkpoint\.part$', 2),
    'before the old one goes': ('os.remove', r'epoch_1\.pth$', 1),
}
DETECTOR = (
    small_detector(3)
    + """
train_dataloader = dict(
    batch_size=2, num_workers=2, persistent_workers={persistent},
    dataset=dict(
        data_root={root!r}, ann_file='coco.json', data_prefix=dict(img='images/'),
        metainfo=dict(classes=('cat', 'dog', 'cow')),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True),
            dict(type='Resize', scale=(64, 64)),
            dict(type='PackDetInputs')]))
val_dataloader = val_cfg = val_evaluator = None
test_dataloader = test_cfg = test_evaluator = None
train_cfg = dict(max_epochs={epochs})
default_hooks = dict(
    logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=1))
"""
)


class Run:
    """A work dir, and trainings that are started in it."""

    def __init__(self, script, folder):
        self.script, self.folder = script, folder
        self.config = folder / 'toy.py'
        self.config.write_text(TOY_CONFIG)
        self.work_dir = folder / 'run'
        self.outputs = []

    def start(self, *argv, fault=None):
        self.outputs.append(self.folder / f'{len(self.outputs)}.txt')
        argv = [str(self.config), '--work-dir', str(self.work_dir), *argv]
        return start_script(self.script, argv, self.outputs[-1], fault)

    def said(self):
        """Return what the last one printed."""
        return self.outputs[-1].read_text()

    def ended(self, process, status):
        """Wait for it; no training may end in a traceback."""
        process.join(120)
        said = self.said()
        assert process.exitcode == status, said[-4000:]
        assert 'Traceback' not in said
        return said

    def wait_for_a_checkpoint(self, process):
        while not (self.work_dir / 'last_checkpoint').exists():
            assert process.is_alive(), self.said()[-4000:]
            time.sleep(0.01)

    def iterations(self):
        """Load what is saved, which has to be whole; where each of them is."""
        files = self.work_dir.glob('epoch_*.pth')
        return {
            f.name: torch.load(f, weights_only=False)['meta']['iter'] for f in files
        }


@pytest.fixture
def run(repo_root, tmp_path):
    return Run(repo_root / 'tools/train.py', tmp_path)


@pytest.mark.parametrize('moment', SAVING)
def test_asked_to_end_while_it_saves(run, moment):
    event, path, occurrence = SAVING[moment]
    fault = Fault(event, path, 'ask to end', occurrence=occurrence)
    said = run.ended(run.start(fault=fault), 128 + signal.SIGTERM)
    assert '--resume goes on in' in said
    saved = run.iterations()
    assert saved, 'no whole checkpoint is left'
    assert f'iter: {max(saved.values())}' in run.ended(run.start('--resume'), 0)
    assert list(run.iterations()) == ['epoch_3.pth']
    assert not list(run.work_dir.glob('*.part'))


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP])
def test_asked_to_end_in_an_epoch(run, number):
    run.config.write_text(LONG)
    process = run.start()
    run.wait_for_a_checkpoint(process)
    time.sleep(0.2)
    os.kill(process.pid, number)
    assert '--resume goes on in' in run.ended(process, 128 + number)
    last = max(run.iterations().values())
    run.config.write_text(TOY_CONFIG.replace('=3', f'={last // 4 + 1}'))
    assert f'iter: {last}' in run.ended(run.start('--resume'), 0)


def test_three_starts_at_once_in_one_folder(run):
    """One trains; the others say so, and leave it alone."""
    processes = [run.start() for _ in range(3)]
    for process in processes:
        process.join(120)
    said = [output.read_text() for output in run.outputs]
    assert sorted(p.exitcode for p in processes) == [0, 2, 2], said
    for process, text in zip(processes, said, strict=True):
        assert 'Traceback' not in text
        assert ('another training is at work' in text) == (process.exitcode == 2)
    assert run.iterations() == {'epoch_3.pth': 12}


def test_a_second_start_while_the_first_trains(run):
    run.config.write_text(LONG)
    first = run.start()
    run.wait_for_a_checkpoint(first)
    before = sorted(path.name for path in run.work_dir.iterdir() if path.is_dir())
    assert 'another training is at work' in run.ended(run.start('--resume'), 2)
    after = sorted(path.name for path in run.work_dir.iterdir() if path.is_dir())
    assert after == before, 'it wrote something'
    first.kill()
    first.join()


@pytest.fixture
def disk(tmp_path):
    """A disk of its own, which only root may make."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    command = ['mount', '-t', 'tmpfs', '-o', 'size=9000k', 'tmpfs', folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f'a small disk cannot be made here: {done.stderr.strip()}')
    yield folder
    while os.path.ismount(folder):
        subprocess.run(['umount', '-l', folder], check=True)


def test_a_folder_that_may_only_be_read(run, disk):
    run.work_dir = disk / 'run'
    subprocess.run(['mount', '-o', 'remount,ro', disk], check=True)
    said = run.ended(run.start(), 2)
    assert said.count('error: ') == 1
    assert f'--work-dir={str(run.work_dir)!r} cannot be written' in said


@pytest.mark.skipif(os.getuid() != 0, reason='only root can become another user')
def test_the_folder_of_another_user():
    """As the user that has no rights, before anything is made there."""

    def look(folder):
        os.setgid(65534)
        os.setuid(65534)
        try:
            check_work_dir(Config(dict(work_dir=f'{folder}/run')))
        except RefusedFileError as error:
            raise SystemExit('gives no permission to' in str(error)) from None

    with tempfile.TemporaryDirectory() as folder:
        ours, theirs = Path(folder, 'ours'), Path(folder, 'theirs')
        for path in (Path(folder), ours, theirs):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        os.chown(theirs, 65534, 65534)
        codes = []
        for path in (ours, theirs):
            asked = multiprocessing.get_context('fork').Process(
                target=look, args=[path]
            )
            asked.start()
            asked.join()
            codes.append(asked.exitcode)
    assert codes == [1, 0]


@pytest.mark.parametrize('persistent', [False, True])
def test_data_whose_disk_goes_away(run, disk, persistent):
    """Unmounted in the middle, with two workers; back again, it goes on."""
    root = disk / 'set'
    write_images(root)
    text = DETECTOR.format(root=f'{root}/', persistent=persistent, epochs=2000)
    run.config.write_text(text)
    process = run.start()
    run.wait_for_a_checkpoint(process)
    subprocess.run(['umount', '-l', disk], check=True)
    said = run.ended(process, 2)
    assert said.count('error: ') == 1
    assert 'training stopped, files that it reads are not there any more' in said
    assert f'{str(root / "images")!r} is missing' in said
    write_images(root)
    (last,) = run.iterations().values()
    epochs = last // 3 + 1
    run.config.write_text(text.replace('2000', str(epochs)))
    assert f'iter: {last}' in run.ended(run.start('--resume'), 0)
    assert list(run.iterations()) == [f'epoch_{epochs}.pth']


@pytest.fixture
def launcher(repo_root, run):
    """A function that starts two processes by the script, and returns the launcher."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = str(free.getsockname()[1])
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    started = []

    def start(*argv):
        run.outputs.append(run.folder / f'{len(run.outputs)}.txt')
        environment = {**os.environ, 'PATH': path, 'PORT': port, 'OMP_NUM_THREADS': '1'}
        environment.pop('LOCAL_RANK', None)
        words = [run.config, '2', '--work-dir', run.work_dir, *argv]
        with run.outputs[-1].open('w') as output:
            started.append(
                subprocess.Popen(
                    [repo_root / 'tools/dist_train.sh', *words]
                    + ['--cfg-options', 'env_cfg.dist_cfg.backend=gloo'],
                    env=environment,
                    cwd=run.folder,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                )
            )
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
    for rank in ranks_in(run.work_dir):
        os.kill(rank, signal.SIGKILL)


def ranks_in(work_dir):
    """Return the processes that train in a folder; each has a session of its own."""
    found = []
    for folder in Path('/proc').iterdir():
        try:
            words = (folder / 'cmdline').read_bytes() if folder.name.isdigit() else b''
        except OSError:
            continue  # it has ended in the meantime
        of_ours = str(work_dir).encode() in words and b'tools/train.py' in words
        if of_ours and b'torch.distributed.run' not in words:
            found.append(int(folder.name))
    return sorted(found)


@pytest.mark.skipif(torch.cuda.is_available(), reason='processes on the CPU')
@pytest.mark.parametrize('whom', ['a rank', 'the launcher'])
def test_two_processes(run, launcher, whom):
    """One is killed by the system, or a scheduler asks the launcher to end."""
    run.config.write_text(LONG)
    process = launcher()
    while not (run.work_dir / 'last_checkpoint').exists():
        assert process.poll() is None, run.said()[-4000:]
        time.sleep(0.05)
    if whom == 'a rank':
        os.kill(ranks_in(run.work_dir)[-1], signal.SIGKILL)
    else:
        process.terminate()
    assert process.wait(180) != 0
    said = run.said()
    assert not ranks_in(run.work_dir), 'a rank is left'
    if whom == 'a rank':
        assert 'training stopped, another process of it has died' in said
        assert re.search(r'Signal 9 \(SIGKILL\)', said)
    last = max(run.iterations().values())
    run.config.write_text(TOY_CONFIG.replace('=3', f'={last // 2 + 1}'))
    assert launcher('--resume').wait(180) == 0, run.said()[-4000:]
    assert f'iter: {last}' in run.said()
