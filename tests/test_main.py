"""``python -m dropblock_mm``, in a process of its own."""

import json
import os
import subprocess
import sys

import pytest

from dropblock_mm.config_files import config_path
from dropblock_mm.programs import PROGRAMS

HEAVY = ('torch', 'numpy', 'mmengine', 'mmcv', 'mmdet', 'mmseg', 'matplotlib', 'rich')


@pytest.fixture
def start(repo_root, tmp_path):
    """A function that starts Python elsewhere, with this package."""
    environment = {**os.environ, 'PYTHONPATH': str(repo_root), 'OMP_NUM_THREADS': '1'}
    environment.pop('LOCAL_RANK', None)

    def run(*words):
        return subprocess.run(
            [sys.executable, *words],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def run_module(start):
    """A function that runs a command by the package's name."""
    return lambda *words: start('-m', 'dropblock_mm', *words)


@pytest.mark.parametrize('words', [[], ['--help'], ['-h']], ids=str)
def test_the_commands_are_listed(run_module, words):
    done = run_module(*words)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.startswith('usage: python -m dropblock_mm COMMAND')
    for name, known in PROGRAMS.items():
        assert f'  {name} ' in done.stdout
        assert f'  {known.help}\n' in done.stdout


@pytest.mark.parametrize(
    ('word', 'said'),
    [
        ('trian', "'trian' is no command; did you mean train?"),
        ('check_dataset', "'check_dataset' is no command; did you mean check-dataset?"),
        ('xyz', "'xyz' is no command; see python -m dropblock_mm --help"),
    ],
)
def test_an_unknown_command_gives_near_matches(run_module, word, said):
    done = run_module(word, '--amp')
    assert (done.returncode, done.stdout) == (2, '')
    assert said in done.stderr


def imported_by(start, *words):
    """Which heavy packages a run of the command has imported when it ends."""
    code = (
        'import json, runpy, sys\n'
        f"sys.argv = ['dropblock_mm', *{list(words)!r}]\n"
        'try:\n'
        "    runpy.run_module('dropblock_mm', run_name='__main__', alter_sys=True)\n"
        'except SystemExit:\n'
        f'    print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))\n'
    )
    return json.loads(start('-c', code).stdout.splitlines()[-1])


@pytest.mark.parametrize('words', [[], ['trian'], *([n, '--help'] for n in PROGRAMS)])
def test_nothing_heavy_is_imported_to_tell_what_there_is(start, words):
    assert imported_by(start, *words) == []


def test_what_is_imported_is_seen(start):
    """The test above can fail."""
    assert 'mmengine' in imported_by(start, 'train', 'no.py')


def test_programs_are_named_as_they_were_started(start, run_module, repo_root):
    module = run_module('train', '--help').stdout
    assert module.startswith('usage: python -m dropblock_mm train [-h]')
    script = start(str(repo_root / 'tools/train.py'), '--help').stdout
    assert script.startswith('usage: train.py [-h]')
    entry = (
        "import sys; sys.argv = ['/bin/dropblock-mm', 'train', '--help']\n"
        'from dropblock_mm.__main__ import main; main()'
    )
    assert start('-c', entry).stdout.startswith('usage: dropblock-mm train [-h]')


def test_help_says_what_to_type(run_module, start, repo_root):
    module = run_module('reproduce', '--help').stdout
    assert 'python -m dropblock_mm reproduce table3 --smoke' in module
    assert 'tools/reproduce.py table3' not in module
    script = start(str(repo_root / 'tools/reproduce.py'), '--help').stdout
    assert 'python tools/reproduce.py table3 --smoke' in script


def test_the_exit_status_is_the_commands(run_module):
    done = run_module('train', 'no.py')
    assert done.returncode == 2
    assert done.stderr.startswith("error: config 'no.py' is not a file")
    assert run_module('voc-aug', 'no', 'no').returncode == 1
    assert run_module('train').returncode == 2


@pytest.mark.parametrize('script', ['dataset_converters/voc_aug.py'])
def test_the_exit_status_of_a_script_is_the_commands(start, repo_root, script):
    assert start(str(repo_root / 'tools' / script), 'no', 'no').returncode == 1


def test_a_package_that_is_missing_is_named_with_what_brings_it(start):
    code = (
        'import sys\n'
        "sys.modules['mmengine'] = None\n"
        'from dropblock_mm.__main__ import main\n'
        "sys.exit(main(['train', 'config.py']))\n"
    )
    done = start('-c', code)
    assert done.returncode == 2
    assert done.stderr.startswith('error: train needs MMEngine: pip install')
    assert 'Traceback' not in done.stderr


@pytest.mark.slow
def test_a_training_by_the_package_is_that_of_the_script(run_module, tmp_path):
    pytest.importorskip('mmdet')
    config = config_path('demo/retinanet_r18_fpn_dropblock_digit-scenes.py')
    few = [
        f'{loop}_dataloader.dataset.num_{half}=4'
        for loop in ('train', 'val', 'test')
        for half in ('train', 'val')
    ]
    options = ['train_cfg.max_epochs=1', 'train_dataloader.num_workers=0']
    options += ['train_dataloader.persistent_workers=False', *few]
    work_dir = tmp_path / 'run'
    done = run_module(
        'train', config, '--work-dir', str(work_dir), '--cfg-options', *options
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert (work_dir / 'epoch_1.pth').is_file()
