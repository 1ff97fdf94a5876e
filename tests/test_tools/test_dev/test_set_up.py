"""The set-up script's decisions; that it works is shown by the tests running."""

import importlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def part():
    """Gives a part of the script, e.g. part('machine')."""
    return lambda name: importlib.import_module(f'tools.dev.environment.{name}')


@pytest.fixture
def machine(part):
    return part('machine')


def test_an_unknown_stack_is_one_clear_message():
    command = [sys.executable, '-m', 'tools.dev.set_up', '--stack', 'openmm']
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == (
        "set-up: STACK='openmm' is unknown; expected one of ['onedl', 'openmmlab']. "
        'For the default leave STACK out.\n'
    )


def test_a_torchvision_of_another_build_is_named_before_mmcv_is_built(
    part, monkeypatch
):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == 'torchvision':
                raise RuntimeError('operator torchvision::nms does not exist')

    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    monkeypatch.setattr(sys, 'meta_path', [Broken(), *sys.meta_path])
    with pytest.raises(SystemExit, match=r'^the torchvision .* was built for'):
        exec(part('whole').PROBE_TORCHVISION, {})


def test_half_a_torchvision_is_one_line_with_the_remedy(part, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchvision', None)
    with pytest.raises(SystemExit, match=r'^torchvision cannot be imported .*pip ins'):
        exec(part('whole').PROBE_TORCHVISION, {})


@pytest.fixture
def make_env(tmp_path):
    """Runs ``make env`` in a clone of what it needs, with some variables more."""
    for name in ('tools/dev', 'requirements', 'dropblock_mm/ops/cpu'):
        shutil.copytree(ROOT / name, tmp_path / name)
    for name in ('Makefile', 'setup.cfg', 'setup.py'):
        shutil.copy(ROOT / name, tmp_path)

    def run(**variables):
        environment = {**os.environ, 'PYTHON': sys.executable, **variables}
        for name in ('PYTHONPATH', 'MAKELEVEL', 'MAKEFLAGS', 'MFLAGS'):
            environment.pop(name, None)
        command = ['make', '--no-print-directory', 'env']
        return subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True
        )

    return run


@pytest.mark.parametrize(
    ('variables', 'said'),
    [
        ({'PYTHON': 'python9'}, 'set-up: python9 is not on the PATH; expected Python'),
        ({'STACK': 'openmm'}, "set-up: STACK='openmm' is unknown; expected one of"),
        ({'CXX': 'no-such'}, 'a C++ compiler (no-such). Install what is missing: sudo'),
    ],
)
def test_make_stops_with_one_message_before_anything_is_made(
    make_env, tmp_path, variables, said
):
    done = make_env(**variables)
    assert done.returncode == 2
    assert done.stdout == ''
    message, end = done.stderr.splitlines()
    assert said in message
    assert end.startswith('make: ***')
    assert not list(tmp_path.glob('.venv*/*'))


@pytest.fixture
def progress_after(part, monkeypatch):
    """Gives the progress of a step that began so many seconds ago."""
    module = part('progress')

    def make(label, seconds):
        progress = module.Progress(label)
        clock = SimpleNamespace(monotonic=lambda: progress.started + seconds)
        monkeypatch.setattr(module, 'time', clock)
        return progress

    return make


def test_progress_understands_ninja(progress_after):
    progress = progress_after('mmcv', seconds=30)
    progress.feed('  [20/80] c++ -MMD -MF /b/temp/nms.o.d -c /s/nms.cpp -o /b/nms.o')
    assert progress.phrase == '20/80 files, about 1:30 left, nms'


def test_progress_keeps_the_last_lines_only(part):
    progress = part('progress').Progress('pip')
    for i in range(100):
        progress.feed(f'line {i}')
    assert progress.tail[-1] == 'line 99'
    assert len(progress.tail) == 25


def test_a_summary_shows_the_compilers_error_above_the_tail(part):
    progress = part('progress').Progress('mmcv')
    progress.feed('nms.cpp:3:1: error: no such type')
    for i in range(100):
        progress.feed(f'  File "build_ext.py", line {i}')
    assert progress.summary()[0] == 'nms.cpp:3:1: error: no such type'
    assert len(progress.summary()) == 26


def test_progress_on_a_plain_stream_is_whole_lines(progress_after, capsys):
    progress = progress_after('libraries', seconds=61)
    progress.feed('Collecting numpy==2.2.6')
    progress.show(progress.phrase)
    progress.close(0)
    assert capsys.readouterr().out == (
        '  libraries [1:01] Collecting numpy==2.2.6\n  libraries [1:01] done\n'
    )


def test_a_failing_step_shows_the_end_of_its_output(machine, part, tmp_path):
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'python').symlink_to(sys.executable)
    code = "print('the compiler said no'); raise SystemExit(3)"
    with open(tmp_path / 'log', 'w') as log:
        steps = part('steps').Steps(tmp_path, log, log.fileno())
        with pytest.raises(machine.SetUpError, match='exit status 3') as error:
            steps.run('mmcv', '-c', code)
    assert 'the compiler said no' in str(error.value)
    assert 'the compiler said no' in (tmp_path / 'log').read_text()


def test_everything_missing_is_named_at_once(machine, monkeypatch, tmp_path):
    monkeypatch.setenv('CXX', 'no-such-compiler')
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    monkeypatch.setattr('sysconfig.get_paths', lambda: {'include': str(tmp_path)})
    with pytest.raises(machine.SetUpError) as error:
        machine.check_machine(making_venv=True)
    python = 'python{}.{}'.format(*sys.version_info[:2])
    packages = f'build-essential {python}-venv {python}-dev'
    assert str(error.value).endswith(f'sudo apt install {packages}')
    for lacking in ('(no-such-compiler)', 'ensurepip', f'{tmp_path}/Python.h'):
        assert lacking in str(error.value)


def test_headers_are_looked_for_where_the_environments_own_python_has_them(
    machine, tmp_path
):
    other = tmp_path / 'python'
    include = tmp_path / 'include/python3.10'
    other.write_text(f'#!/bin/sh\necho {include}\n')
    other.chmod(0o755)
    with pytest.raises(machine.SetUpError) as error:
        machine.check_compiler(making_venv=False, python=str(other))
    assert f'lacks the C header {include}/Python.h.' in str(error.value)
    assert str(error.value).endswith('sudo apt install python3.10-dev')
    include.mkdir(parents=True)
    (include / 'Python.h').touch()
    machine.check_compiler(making_venv=False, python=str(other))


def test_an_unsupported_python_names_the_supported_ones(machine, monkeypatch):
    monkeypatch.setattr(machine, 'SUPPORTED', ((3, 9),))
    with pytest.raises(machine.SetUpError, match='is not supported; expected'):
        machine.check_machine(making_venv=True)


@pytest.mark.parametrize('home', [None, '/no/such/cuda'])
def test_a_gpu_without_a_cuda_compiler_is_refused(machine, home):
    torch = {'torch': '2.13.0', 'gpu': True, 'cuda': '13.0', 'cuda_home': home}
    with pytest.raises(machine.SetUpError, match='CUDA_VISIBLE_DEVICES= make'):
        machine.check_cuda(torch)


@pytest.mark.parametrize(
    ('cuda', 'found'),
    [
        (None, 'is built for the CPU; '),
        ('13.0', r'build for one \(FORCE_CUDA=1\), but'),
    ],
)
def test_a_build_for_another_machines_gpu_needs_the_same(machine, cuda, found):
    torch = {'torch': '2', 'gpu': False, 'cuda': cuda, 'cuda_home': None}
    with pytest.raises(machine.SetUpError, match=f'{found}.*env -u FORCE_CUDA make'):
        machine.check_cuda(torch)


@pytest.mark.parametrize(('release', 'fits'), [('13.1', True), ('12.4', False)])
def test_the_cuda_compiler_must_be_of_torchs_version(machine, tmp_path, release, fits):
    nvcc = tmp_path / 'bin' / 'nvcc'
    nvcc.parent.mkdir()
    nvcc.write_text(f'#!/bin/sh\necho "Cuda tools, release {release}, V1"\n')
    nvcc.chmod(0o755)
    put_headers(tmp_path / 'include', machine.CUDA_HEADERS)
    torch = {'torch': '2', 'gpu': True, 'cuda': '13.0', 'cuda_home': str(tmp_path)}
    if fits:
        machine.check_cuda(torch)
    else:
        with pytest.raises(machine.SetUpError, match=r'expected CUDA 13\.0'):
            machine.check_cuda(torch)


def put_headers(folder, names):
    folder.mkdir()
    for name in names:
        (folder / name).touch()


def test_a_toolkit_without_the_libraries_headers_is_refused(
    machine, tmp_path, monkeypatch
):
    monkeypatch.delenv('CPATH', raising=False)
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'nvcc').symlink_to('/bin/true')
    put_headers(tmp_path / 'include', ['cuda_runtime_api.h', 'cublas_v2.h'])
    torch = {'torch': '2', 'gpu': True, 'cuda': '13.0', 'cuda_home': str(tmp_path)}
    with pytest.raises(machine.SetUpError, match=r'lacks cusolverDn\.h, cusparse\.h;'):
        machine.check_cuda(torch)
    put_headers(tmp_path / 'more', ['cusolverDn.h', 'cusparse.h'])
    monkeypatch.setenv('CPATH', f'/no/such:{tmp_path}/more')
    machine.check_cuda(torch)


@pytest.fixture
def gpu_without_toolkit(machine, monkeypatch, tmp_path):
    """A machine with a GPU's device file and nothing of CUDA."""
    (tmp_path / 'nvidiactl').touch()
    monkeypatch.setattr(machine, 'NVIDIA', tmp_path / 'nvidiactl')
    monkeypatch.setattr(machine.shutil, 'which', lambda name: None)
    monkeypatch.setattr(machine, 'CUDA', tmp_path / 'no-cuda')
    for name in ('CUDA_HOME', 'CUDA_PATH', 'CUDA_VISIBLE_DEVICES'):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_a_gpu_without_a_toolkit_is_refused_before_torch_is_fetched(
    machine, gpu_without_toolkit
):
    with pytest.raises(machine.SetUpError, match='CUDA_VISIBLE_DEVICES= make'):
        machine.check_gpu_compiler()


def test_a_hidden_gpu_needs_no_toolkit(machine, gpu_without_toolkit, monkeypatch):
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
    machine.check_gpu_compiler()


def test_a_toolkit_is_found_by_cuda_home(machine, gpu_without_toolkit, monkeypatch):
    (gpu_without_toolkit / 'bin').mkdir()
    (gpu_without_toolkit / 'bin' / 'nvcc').touch()
    monkeypatch.setenv('CUDA_HOME', str(gpu_without_toolkit))
    machine.check_gpu_compiler()


@pytest.fixture
def memory(machine, monkeypatch, tmp_path):
    """Sets how much memory is free, in kB."""

    def set_to(available, swap):
        text = f'MemTotal: 9 kB\nMemAvailable: {available} kB\nSwapFree: {swap} kB\n'
        (tmp_path / 'meminfo').write_text(text)
        monkeypatch.setattr(machine, 'MEMORY', tmp_path / 'meminfo')

    return set_to


def test_too_little_memory_is_refused(machine, memory):
    memory(1_000_000, 0)
    with pytest.raises(machine.SetUpError, match=r'1\.0 GB of memory are free'):
        machine.check_memory()


def test_swap_space_counts(machine, memory):
    memory(1_000_000, 2_000_000)
    machine.check_memory()


def test_there_are_no_more_compilers_than_memory_for_them(machine, memory, monkeypatch):
    monkeypatch.setattr(machine.os, 'sched_getaffinity', lambda pid: set(range(64)))
    memory(8_000_000, 0)
    assert machine.compile_jobs() == 3
    memory(100_000, 0)
    assert machine.compile_jobs() == 1


@pytest.fixture
def no_proxy_named(part, monkeypatch):
    for name in part('package_index').PROXIES:
        monkeypatch.delenv(name, raising=False)


def test_a_proxy_that_does_not_answer_is_named_without_its_password(
    part, machine, monkeypatch, no_proxy_named
):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))  # not listening, so nobody answers
        address = f'http://me:secret@127.0.0.1:{free.getsockname()[1]}'
        monkeypatch.setenv('HTTPS_PROXY', address)
        with pytest.raises(machine.SetUpError, match='HTTPS_PROXY') as error:
            part('package_index').check_proxy()
    assert 'secret' not in str(error.value)
    assert 'env -u HTTPS_PROXY make' in str(error.value)


def test_a_proxy_that_answers_is_fine(part, monkeypatch, no_proxy_named):
    with socket.create_server(('127.0.0.1', 0)) as server:
        monkeypatch.setenv('https_proxy', f'127.0.0.1:{server.getsockname()[1]}')
        part('package_index').check_proxy()


class Index:
    """A pip that finds torch with these needs, or says this on stderr."""

    stdout = 'Looking in indexes: https://index.test/simple\nThe conflict is of:\n'

    def __init__(self, venv, needs=(), stderr='', place='', cache=''):
        self.venv, self.needs, self.stderr = venv, list(needs), stderr
        self.place, self.cache, self.asked = place, cache, []

    def ask_pip(self, *args):
        if args == ('cache', 'dir'):
            return SimpleNamespace(returncode=not self.cache, stdout=f'{self.cache}\n')
        if self.stderr:
            return SimpleNamespace(returncode=1, stdout=self.stdout, stderr=self.stderr)
        self.asked.append(args[-1])
        if '--dry-run' not in args:
            return SimpleNamespace(returncode=0)
        found = {
            'metadata': {'name': 'torch', 'requires_dist': self.needs},
            'download_info': {'url': f'{self.place}/torch-9.whl'},
        }
        report = Path(args[args.index('--report') + 1])
        report.write_text(json.dumps({'install': [found]}))
        return SimpleNamespace(returncode=0, stderr='')


def test_an_index_out_of_reach_is_one_message(part, machine, tmp_path):
    said = (
        'WARNING: Location x is ignored\nERROR: Tunnel connection failed: 403\n'
        '[notice] A new release of pip is available'
    )
    index = Index(tmp_path, stderr=said)
    with pytest.raises(machine.SetUpError) as error:
        part('package_index').check_index(index, 'pip==1', 'torch==9')
    assert 'pip finds no pip==1' in str(error.value)
    assert str(error.value).endswith(
        '\n    Looking in indexes: https://index.test/simple'
        '\n    ERROR: Tunnel connection failed: 403'
    )


NEEDS = {
    'CPU': ('filelock', 'triton~=3.8.0'),
    'CUDA': ('filelock', 'nvidia-cudnn-cu13==9.1 ; platform_system == "Linux"'),
}
HERE = 'file:///wheels'


@pytest.fixture
def check_index(part, monkeypatch, tmp_path):
    """Asks an index for torch where so much is free on the disks of these folders."""
    disk = part('disk')
    monkeypatch.setattr(disk, 'ENVIRONMENT_GB', {'CPU': 2, 'CUDA': 6})
    monkeypatch.setattr(disk, 'WHEELS_GB', {'CPU': 1, 'CUDA': 3})
    (tmp_path / 'temp').mkdir()
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'temp'))

    def check(build='CUDA', cache='cache', place='https://index.test', **free):
        def disk_of(path):
            return path.name if path.name in free else 'venv'

        monkeypatch.setattr(disk, 'disk_of', disk_of)
        monkeypatch.setattr(disk, 'free_gb', lambda path: free[disk_of(path)])
        cache = cache and tmp_path / cache
        index = Index(tmp_path / 'venv', NEEDS[build], place=place, cache=cache)
        part('package_index').check_index(index, 'pip==1', 'torch==9')
        # An older pip would fetch torch to answer.
        assert index.asked == ['pip==1', 'torch==9']

    return check


@pytest.mark.parametrize(
    ('enough', 'settings'),
    [
        (6, {'place': HERE}),
        (2, {'place': HERE, 'build': 'CPU'}),
        (6 + 2 * 3, {}),
        (2 + 2 * 1, {'build': 'CPU'}),
        (6 + 3, {'cache': ''}),
        (6 + 3, {'cache': 'home', 'home': 3}),
        (6, {'cache': 'home', 'home': 3, 'temp': 3}),
    ],
    ids=str,
)
def test_as_much_disk_is_asked_for_as_is_needed(check_index, machine, enough, settings):
    check_index(venv=enough, **settings)
    with pytest.raises(machine.SetUpError, match=rf'{enough - 0.5} GB are free at'):
        check_index(venv=enough - 0.5, **settings)


def test_a_small_disk_is_told_what_is_to_come_onto_it(check_index, machine, tmp_path):
    with pytest.raises(machine.SetUpError) as error:
        check_index(venv=8, cache='home', home=3)
    assert str(error.value) == (
        f'8.0 GB are free at {tmp_path}/venv; expected at least 9.0 GB: 6.0 GB for the '
        "environment with torch for CUDA, 3.0 GB for pip's downloads in "
        f'{tmp_path}/temp. Free some, or clone elsewhere, or have pip download '
        'elsewhere (TMPDIR=... PIP_CACHE_DIR=... make), or name a place that has the '
        'build for the CPU (PIP_EXTRA_INDEX_URL=... make).'
    )


def test_a_small_disk_for_downloads_alone_is_named(check_index, machine):
    with pytest.raises(
        machine.SetUpError, match=r'2\.5 GB are free at .*/temp'
    ) as error:
        check_index(venv=9, temp=2.5)
    assert 'clone elsewhere' not in str(error.value)


def test_what_an_interrupted_set_up_left_is_not_asked_for_again(check_index, tmp_path):
    (tmp_path / 'venv').mkdir()
    with open(tmp_path / 'venv/library.so', 'wb') as file:
        file.truncate(4 * 10**9)  # takes no disk itself
    check_index(venv=2, place=HERE)


def test_a_disk_without_room_for_anything_is_refused_first(
    part, machine, monkeypatch, tmp_path
):
    monkeypatch.setattr(part('whole'), 'check_machine', lambda **settings: None)
    monkeypatch.setattr(part('disk'), 'free_gb', lambda path: 0.5)
    with pytest.raises(machine.SetUpError, match=r'^0\.5 GB are free at .*/venv; '):
        part('whole').set_up(tmp_path / 'venv', 'openmmlab', True, 0)
    assert not list(tmp_path.iterdir())


def test_disks_are_told_apart_by_the_folders_that_are_there(part, tmp_path):
    disk = part('disk')
    assert disk.disk_of(tmp_path / 'not/yet') == disk.disk_of(tmp_path)
    assert disk.disk_of(tmp_path) != disk.disk_of(Path('/proc'))
    assert disk.free_gb(tmp_path / 'not/yet') > 0


def test_a_file_in_the_environments_place_is_one_message(part, machine, monkeypatch):
    whole = part('whole')
    monkeypatch.setitem(whole.STACKS, 'openmmlab', 'setup.py')
    with pytest.raises(machine.SetUpError, match=r'setup\.py cannot be made'):
        whole.ensure_environment('openmmlab', keep_python=True)


def test_the_stamp_depends_on_stack_and_python(part):
    stamp = part('whole').stamp_of
    assert stamp('openmmlab', '3.11') == stamp('openmmlab', '3.11')
    assert len({stamp(s, p) for s in ('openmmlab', 'onedl') for p in '12'}) == 4


def test_a_vanished_python_means_a_new_environment(part, tmp_path):
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin' / 'python').symlink_to('/no/such/python')
    assert part('whole').usable_version(tmp_path, True) is None


@pytest.mark.parametrize('stack', ['openmmlab', 'onedl'])
def test_each_stack_pins_its_mmcv(part, stack):
    file = ROOT / 'requirements' / f'{stack}.txt'
    assert 'mmcv==' in part('package_index').pinned(file, part('whole').MMCV[stack])


def test_torch_finds_ninja_of_the_environment(part, tmp_path):
    steps = part('steps').Steps(tmp_path, None, 0)
    assert steps._activated()['PATH'].startswith(f'{tmp_path}/bin:')


def test_a_kept_wheel_appears_whole(part, tmp_path):
    (tmp_path / 'store').mkdir()
    wheel = tmp_path / 'mmcv.whl'
    wheel.write_bytes(b'wheel')
    kept = part('mmcv_wheel').keep(wheel, tmp_path / 'store')
    assert kept.read_bytes() == b'wheel'
    assert [file.name for file in kept.parent.iterdir()] == ['mmcv.whl']


def test_an_unwritable_cache_keeps_the_wheel_in_the_environment(
    part, tmp_path, monkeypatch
):
    (tmp_path / 'file').touch()
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    steps = part('steps').Steps(tmp_path / 'venv', None, 0)
    store = part('mmcv_wheel').wheel_store(steps, 'cpu')
    assert store == tmp_path / 'venv' / 'wheels' / 'cpu'
    assert store.is_dir()


def test_a_second_set_up_waits_for_the_first(part, tmp_path, monkeypatch):
    whole, waiting, said, order = part('whole'), threading.Event(), [], []

    def say(text, flush):
        said.append(text)
        waiting.set()

    def second_set_up():
        with whole.exclusive(tmp_path):
            order.append('second')

    monkeypatch.setattr(whole, 'print', say, raising=False)
    second = threading.Thread(target=second_set_up)
    with whole.exclusive(tmp_path):
        second.start()
        assert waiting.wait(timeout=60)
        second.join(timeout=0.2)  # time to be wrong in
        order.append('first')
    second.join(timeout=60)
    assert order == ['first', 'second']
    assert said == [f'set-up: waiting for another set-up of {tmp_path.name}']
