"""The commands that train and evaluate."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def following(part, toy_run):
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


def test_one_process(following):
    train = 'python tools/train.py configs/block7_seed3.py --work-dir block7_seed3'
    assert following('NEW', 'none') == train
    assert following('INTERRUPTED', 'none') == f'{train} --resume'
    assert following('TRAINED', 'none') == (
        'python tools/test.py configs/block7_seed3.py c.pth --work-dir '
        'block7_seed3/evaluation'
    )


def test_torchrun(following):
    train = 'tools/dist_train.sh configs/block7_seed3.py 4 --work-dir block7_seed3'
    assert following('NEW', 'pytorch', gpus=4) == train
    assert following('INTERRUPTED', 'pytorch', gpus=4) == f'{train} --resume'
    assert following('TRAINED', 'pytorch', gpus=4) == (
        'tools/dist_test.sh configs/block7_seed3.py c.pth 4 --work-dir '
        'block7_seed3/evaluation'
    )


def test_slurm(following):
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
def test_slurm_is_told_of_the_gpus(part, monkeypatch, gpus, per_node, expected):
    monkeypatch.delenv('GPUS_PER_NODE', raising=False)
    if per_node:
        monkeypatch.setenv('GPUS_PER_NODE', per_node)
    environment = part('commands').Launcher('slurm', gpus, 'p').environment()
    assert environment['GPUS'] == str(gpus)
    assert environment['GPUS_PER_NODE'] == expected


def test_scripts_find_this_python_and_this_package(part):
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
    assert module.startswith(str(ROOT))


@pytest.fixture
def in_a_wheel(part, monkeypatch):
    """Where there are no scripts."""
    monkeypatch.setattr(part('commands'), 'in_clone', lambda: False)


def test_one_process_from_a_wheel(following, in_a_wheel):
    train = 'python -m dropblock_mm train configs/block7_seed3.py --work-dir '
    assert following('NEW', 'none') == f'{train}block7_seed3'
    assert following('INTERRUPTED', 'none') == f'{train}block7_seed3 --resume'
    assert following('TRAINED', 'none') == (
        'python -m dropblock_mm test configs/block7_seed3.py c.pth --work-dir '
        'block7_seed3/evaluation'
    )


def test_torchrun_from_a_wheel(following, in_a_wheel):
    start = (
        'python -m torch.distributed.run --standalone --nproc_per_node=4 '
        '-m dropblock_mm '
    )
    assert following('INTERRUPTED', 'pytorch', gpus=4) == (
        f'{start}train configs/block7_seed3.py --work-dir block7_seed3 --resume '
        '--launcher pytorch'
    )
    assert following('TRAINED', 'pytorch', gpus=4) == (
        f'{start}test configs/block7_seed3.py c.pth --work-dir '
        'block7_seed3/evaluation --launcher pytorch'
    )


def test_slurm_from_a_wheel_asks_for_what_the_script_asks_for(
    following, in_a_wheel, monkeypatch
):
    for name in ('GPUS_PER_NODE', 'CPUS_PER_TASK', 'SRUN_ARGS'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('SRUN_ARGS', '--qos=low --exclude "a b"')
    found = following('NEW', 'slurm', gpus=16, partition='p')
    script = (ROOT / 'tools/slurm_train.sh').read_text()
    flags = [word.partition('=')[0] for word in found.split() if word[:2] == '--']
    ours = ('--work-dir', '--qos', '--exclude')
    assert all(flag in script for flag in flags if flag not in ours)
    assert found == (
        'srun -p p --job-name=block7_seed3 --gres=gpu:8 --ntasks=16 '
        '--ntasks-per-node=8 --cpus-per-task=5 --kill-on-bad-exit=1 --qos=low '
        "--exclude 'a b' python -u -m dropblock_mm train configs/block7_seed3.py "
        '--work-dir block7_seed3 --launcher slurm'
    )
    assert following('TRAINED', 'slurm', gpus=16, partition='p') == (
        'srun -p p --job-name=block7_seed3 --gres=gpu:1 python -m dropblock_mm test '
        'configs/block7_seed3.py c.pth --work-dir block7_seed3/evaluation'
    )


def test_a_wheel_leaves_the_path_of_modules_alone(part, in_a_wheel, monkeypatch):
    monkeypatch.delenv('PYTHONPATH', raising=False)
    assert 'PYTHONPATH' not in part('commands').Launcher().environment()


def test_no_commit_is_told_of_a_wheel(part, monkeypatch):
    """A wheel can lie in the clone of something else."""
    record = part('record')
    monkeypatch.setattr(record, 'in_clone', lambda: False)
    monkeypatch.setattr(record, '_git', lambda *words: 'of something else')
    assert record.commit() == 'not a git clone'
