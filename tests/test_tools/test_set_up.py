"""The set-up script's decisions; that it works is shown by the tests running."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / 'tools' / 'misc' / 'set_up.py'


@pytest.fixture
def script(monkeypatch):
    """The script's names; its functions see what is patched in here."""
    return runpy.run_path(str(SCRIPT))


def patched(function, monkeypatch, **names):
    for name, value in names.items():
        monkeypatch.setitem(function.__globals__, name, value)
    return function


def test_an_unknown_stack_is_one_clear_message():
    command = [sys.executable, str(SCRIPT), '--stack', 'openmm']
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "set-up: STACK='openmm' is unknown; expected one of ['onedl', 'openmmlab']. "
        'For the default leave STACK out.\n'
    )


def test_progress_understands_ninja(script):
    progress = script['Progress']('mmcv')
    progress.feed('  [40/80] c++ -MMD -MF /b/temp/nms.o.d -c /s/nms.cpp -o /b/nms.o')
    assert progress.phrase.startswith('40/80 files, about 0:00 left, nms')


def test_progress_keeps_the_last_lines_only(script):
    progress = script['Progress']('pip')
    for i in range(100):
        progress.feed(f'line {i}')
    assert progress.tail[-1] == 'line 99'
    assert len(progress.tail) == 25


def test_progress_on_a_plain_stream_is_whole_lines(script, capsys):
    progress = script['Progress']('libraries')
    progress.feed('Collecting numpy==2.2.6')
    progress.show(progress.phrase)
    progress.close(0)
    assert capsys.readouterr().out == (
        '  libraries [0:00] Collecting numpy==2.2.6\n  libraries [0:00] done\n'
    )


def test_a_failing_step_shows_the_end_of_its_output(script, tmp_path):
    error = script['SetUpError']
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'python').symlink_to(sys.executable)
    code = "print('the compiler said no'); raise SystemExit(3)"
    with open(tmp_path / 'log', 'w') as log:
        steps = script['Steps'](tmp_path, log, log.fileno())
        with pytest.raises(error, match=r'exit status 3(.|\n)*compiler said no'):
            steps.run('mmcv', '-c', code)
    assert 'the compiler said no' in (tmp_path / 'log').read_text()


def test_everything_missing_is_named_at_once(script, monkeypatch, tmp_path):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    monkeypatch.setattr('sysconfig.get_paths', lambda: {'include': str(tmp_path)})
    with pytest.raises(script['SetUpError']) as error:
        script['check_machine'](making_venv=True)
    python = 'python{}.{}'.format(*sys.version_info[:2])
    packages = f'build-essential {python}-venv {python}-dev'
    assert str(error.value).endswith(f'sudo apt install {packages}')
    for lacking in ('(no-such-compiler)', 'ensurepip', f'{tmp_path}/Python.h'):
        assert lacking in str(error.value)


def test_an_unsupported_python_names_the_supported_ones(script, monkeypatch):
    check = patched(script['check_machine'], monkeypatch, SUPPORTED=((3, 9),))
    with pytest.raises(script['SetUpError'], match='is not supported; expected'):
        check(making_venv=True)


def test_a_small_disk_is_refused(script, monkeypatch):
    check = patched(script['check_machine'], monkeypatch, FREE_GB=10**9)
    with pytest.raises(script['SetUpError'], match='GB are free'):
        check(making_venv=False)


@pytest.mark.parametrize('home', [None, '/no/such/cuda'])
def test_a_gpu_without_a_cuda_compiler_is_refused(script, home):
    torch = {'torch': '2.13.0', 'gpu': True, 'cuda': '13.0', 'cuda_home': home}
    with pytest.raises(script['SetUpError'], match='CUDA_VISIBLE_DEVICES= make'):
        script['check_cuda'](torch)


@pytest.mark.parametrize(('release', 'fits'), [('13.1', True), ('12.4', False)])
def test_the_cuda_compiler_must_be_of_torchs_version(script, tmp_path, release, fits):
    nvcc = tmp_path / 'bin' / 'nvcc'
    nvcc.parent.mkdir()
    nvcc.write_text(f'#!/bin/sh\necho "Cuda tools, release {release}, V1"\n')
    nvcc.chmod(0o755)
    torch = {'torch': '2', 'gpu': True, 'cuda': '13.0', 'cuda_home': str(tmp_path)}
    if fits:
        script['check_cuda'](torch)
    else:
        with pytest.raises(script['SetUpError'], match=r'expected CUDA 13\.0'):
            script['check_cuda'](torch)


def test_the_stamp_depends_on_stack_and_python(script):
    stamp = script['stamp_of']
    assert stamp('openmmlab', '3.11') == stamp('openmmlab', '3.11')
    assert len({stamp(s, p) for s in ('openmmlab', 'onedl') for p in '12'}) == 4


def test_a_vanished_python_means_a_new_environment(script, tmp_path):
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'python').symlink_to('/no/such/python')
    assert script['usable_version'](tmp_path, True) is None


@pytest.mark.parametrize('stack', ['openmmlab', 'onedl'])
def test_each_stack_pins_its_mmcv(script, stack):
    requirement = script['mmcv_requirement'](ROOT / 'requirements' / f'{stack}.txt')
    assert 'mmcv==' in requirement
