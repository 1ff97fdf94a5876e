"""Training that is killed, or that finds the disk full, goes on where it was saved.

Here it is killed at each step of saving; ``tools/dev/kill_and_resume.py`` kills it at
random moments, and has a test of its own.
"""

import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from dropblock_mm.runs.training_log import read_rows
from dropblock_mm.testing.processes import Fault, start_script
from dropblock_mm.testing.toy import TOY_CONFIG

STEPS = range(1, 13)
PART = r'epoch_2\.pth\.part$'
NAME = r'last_checkpoint\.part$'
# Every step of saving the second checkpoint, with max_keep_ckpts=1: the event, the
# file, how many such events come before, and the iteration that is saved then.
MOMENTS = {
    'before it is written': ('open', PART, 0, 4),
    'half-way through it': ('open', PART, 0, 4),
    'written, but not in place': ('os.rename', PART, 0, 4),
    'in place, but not named': ('open', NAME, 1, 8),
    'while it is named': ('os.rename', NAME, 1, 8),
    'before the old one goes': ('os.remove', r'epoch_1\.pth$', 0, 8),
}


BY_ITERATION = """
train_cfg = dict(type='IterBasedTrainLoop', max_iters=12)
train_dataloader['sampler'] = dict(type='InfiniteSampler')
default_hooks['checkpoint'] = dict(type='CheckpointHook', interval=4, by_epoch=False)
optim_wrapper['accumulative_counts'] = 2
auto_scale_lr = dict(base_batch_size=8)
"""


@dataclass
class Run:
    """A work dir, and the commands that train in it."""

    script: Path
    config: Path
    work_dir: Path
    options: tuple[str, ...] = ('--dropblock', 'resnet_c5')

    def start(self, *argv, fault=None):
        argv = [str(self.config), '--work-dir', str(self.work_dir), *argv]
        argv += [*self.options]
        return start_script(self.script, argv, self.output, fault)

    @property
    def output(self):
        """What it prints, beside the config: the work dir may be on a full disk."""
        return self.config.with_suffix('.txt')

    def to_the_end(self, *argv, fault=None, expected=0):
        """Return what it printed."""
        process = self.start(*argv, fault=fault)
        process.join()
        said = self.output.read_text()
        assert process.exitcode == expected, said[-4000:]
        return said

    def logged(self):
        """Return all rows of iterations, those before an interruption first."""
        files = sorted(self.work_dir.glob('*/vis_data/scalars.json'))
        return [row for file in files for row in read_rows(file) if 'loss' in row]

    def checkpoints(self):
        """Load every checkpoint; none may be damaged."""
        files = self.work_dir.glob('epoch_*.pth')
        return {file.name: torch.load(file, weights_only=False) for file in files}


@pytest.fixture(scope='module')
def make_run(repo_root, tmp_path_factory):
    def make(name, *options):
        folder = tmp_path_factory.mktemp(name)
        config = folder / 'toy.py'
        config.write_text(TOY_CONFIG)
        script = repo_root / 'tools/train.py'
        return Run(script, config, folder / 'run', options or Run.options)

    return make


@pytest.fixture(scope='module')
def whole_run(make_run):
    """A run that nothing interrupts."""
    run = make_run('whole')
    run.to_the_end()
    return run


def check_resumed(run, whole, *, same=('keep_prob', 'lr')):
    """Resume; it goes on after the last checkpoint, exactly as without interruption."""
    saved = run.checkpoints()
    last = max((each['meta']['iter'] for each in saved.values()), default=0)
    before = len(run.logged())
    said = run.to_the_end('--resume')
    assert (f'iter: {last}' in said) == (last > 0)
    resumed = run.logged()[before:]
    assert [row['step'] for row in resumed] == list(STEPS)[last:]
    expected = {row['step']: row for row in whole.logged()}
    assert list(expected) == list(STEPS)
    for row in run.logged():
        assert {key: row[key] for key in same} == {
            key: expected[row['step']][key] for key in same
        }
    check_finished(run)
    return last


def check_finished(run):
    """One checkpoint is left, the last, and it is named."""
    assert list(run.checkpoints()) == ['epoch_3.pth']
    assert not list(run.work_dir.glob('*.part'))
    named = (run.work_dir / 'last_checkpoint').read_text()
    assert named == str(run.work_dir / 'epoch_3.pth')


@pytest.mark.parametrize('moment', MOMENTS)
def test_killed_while_saving(make_run, whole_run, moment):
    event, path, earlier, saved = MOMENTS[moment]
    kind = 'kill inside' if 'half-way' in moment else 'kill'
    whole = whole_run
    size = (whole.work_dir / 'epoch_3.pth').stat().st_size
    run = make_run('saving')
    process = run.start(fault=Fault(event, path, kind, size, earlier + 1))
    process.join()
    assert process.exitcode < 0, 'it was not killed'
    if kind == 'kill inside':
        part = run.work_dir / 'epoch_2.pth.part'
        assert part.stat().st_size == size // 2
    assert check_resumed(run, whole) == saved


def test_what_follows_a_kill_is_as_if_there_was_none(make_run):
    """Without DropBlock nothing is random, and the losses and weights agree too."""
    whole, run = make_run('plain', '--resume'), make_run('plain', '--resume')
    whole.to_the_end()
    fault = Fault('os.rename', r'last_checkpoint\.part$', 'kill')
    run.to_the_end(fault=fault, expected=-9)
    assert check_resumed(run, whole, same=('loss', 'lr')) == 4
    ours, theirs = (r.checkpoints()['epoch_3.pth']['state_dict'] for r in (run, whole))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


def test_a_loop_of_iterations_that_accumulates_with_a_scaled_rate(make_run):
    runs = []
    for fault in (None, Fault('open', r'iter_8\.pth\.part$', 'kill')):
        run = make_run('iterations', '--dropblock', 'resnet_c5', '--auto-scale-lr')
        run.config.write_text(TOY_CONFIG + BY_ITERATION)
        run.to_the_end(fault=fault, expected=-9 if fault else 0)
        runs.append(run)
    assert 'iter: 4' in run.to_the_end('--resume')
    rows = [
        [(r['step'], r['keep_prob'], r['lr']) for r in run.logged()] for run in runs
    ]
    assert [step for step, *_ in rows[0]] == list(STEPS)
    assert rows[0][-1] == (12, 0.9, pytest.approx(0.01 * 2 / 8))
    # Iterations 5 to 8 were lost, and done again.
    assert rows[1] == rows[0][:8] + rows[0][4:]


def test_killed_before_the_last_one_is_named(make_run, whole_run):
    """Resumed, it has nothing left to train and to save, and names what it has."""
    run = make_run('last')
    fault = Fault('os.rename', NAME, 'kill', occurrence=3)
    run.to_the_end(fault=fault, expected=-9)
    assert (run.work_dir / 'last_checkpoint').read_text().endswith('epoch_2.pth')
    assert check_resumed(run, whole_run) == 12


def test_killed_again_and_again(make_run):
    run = make_run('again')
    for epoch in (1, 2):
        fault = Fault('os.rename', rf'epoch_{epoch}\.pth\.part$', 'kill')
        run.to_the_end('--resume', fault=fault, expected=-9)
        assert not (run.work_dir / f'epoch_{epoch}.pth').exists()
    run.to_the_end('--resume')
    assert [row['step'] for row in run.logged()] == [
        1,
        2,
        3,
        4,
        *range(1, 9),
        *STEPS[4:],
    ]
    check_finished(run)


def test_full_disk(make_run, whole_run):
    """The system refuses to write the second half of a checkpoint."""
    whole = whole_run
    size = (whole.work_dir / 'epoch_3.pth').stat().st_size
    run = make_run('full')
    said = run.to_the_end(fault=Fault('open', PART, 'full disk', size), expected=2)
    assert 'Traceback' not in said
    said = said.partition('error: ')[2]
    assert f"'{run.work_dir}/epoch_2.pth' was not written" in said
    assert f'it needs {size / 1e6:,.1f} MB' in said
    assert ' free.' in said
    assert '--resume goes on' in said
    assert [*run.checkpoints()] == ['epoch_1.pth']
    assert not list(run.work_dir.glob('*.part'))
    assert check_resumed(run, whole) == 4


@pytest.fixture
def small_disk(tmp_path):
    """A function that makes a disk of so many kilobytes, which only root may."""
    disk = tmp_path / 'disk'
    disk.mkdir()

    def make(kilobytes):
        command = ['mount', '-t', 'tmpfs', '-o', f'size={kilobytes}k', 'tmpfs', disk]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f'a small disk cannot be made here: {done.stderr.strip()}')
        return disk

    yield make
    if os.path.ismount(disk):
        subprocess.run(['umount', '-l', disk], check=True)


def read_only(folder):
    """Let nobody write there any more, over the folder itself: only root may."""
    for options in (['--bind', folder], ['-o', 'remount,bind,ro']):
        subprocess.run(['mount', *options, folder], check=True)


@pytest.mark.nightly
def test_a_work_dir_that_turns_read_only(make_run, small_disk):
    """What was saved stays, and the run goes on once it can be written again."""
    run = make_run('read-only')
    disk = small_disk(9000)
    run.work_dir = disk / 'run'
    long = run.config.read_text()
    run.config.write_text(long.replace('max_epochs=3', 'max_epochs=2000'))
    process = run.start()
    try:
        while not (run.work_dir / 'last_checkpoint').exists():
            assert process.is_alive(), run.output.read_text()
            time.sleep(0.01)
        read_only(run.work_dir)
        process.join()
    finally:
        process.kill()
        subprocess.run(['umount', run.work_dir], check=False)
    said = run.output.read_text()
    assert process.exitcode == 2
    assert 'Traceback' not in said
    assert 'error: training stopped, its work dir cannot be written any more' in said
    saved = [each['meta']['iter'] for each in run.checkpoints().values()]
    assert saved
    done = max(saved) // 4 + 1
    run.config.write_text(long.replace('max_epochs=3', f'max_epochs={done}'))
    assert f'iter: {max(saved)}' in run.to_the_end('--resume')


@pytest.mark.nightly
@pytest.mark.parametrize(
    ('kilobytes', 'saved'), [(8, []), (1000, []), (2500, ['epoch_1.pth'])]
)
def test_a_really_full_disk(make_run, whole_run, small_disk, kilobytes, saved):
    """Full before a line is written, at the first checkpoint, or at the second."""
    run = make_run('disk')
    run.work_dir = small_disk(kilobytes) / 'run'
    said = run.to_the_end(expected=2)
    assert 'Traceback' not in said
    assert said.count('error: ') == 1
    assert 'error: training stopped, a disk is full. ' in said
    assert list(run.checkpoints()) == saved
    assert not list(run.work_dir.glob('*.part'))
    if saved:
        command = ['mount', '-o', 'remount,size=9000k', run.work_dir.parent]
        subprocess.run(command, check=True)
        assert check_resumed(run, whole_run) == 4
