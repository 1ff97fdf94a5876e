"""What the compilers get of mmcv; that it works is shown by the set-up itself."""

import os
import shutil
from pathlib import Path

import pytest

from tools.dev.environment import (
    machine,
    mmcv_setup,
    mmcv_source,
    package_index,
    whole,
)

ROOT = Path(__file__).resolve().parents[3]
OPS = 'mmcv/ops/csrc/pytorch'
SOURCES = [
    *(f'{OPS}/{name}.cpp' for name in ('nms', 'pybind', 'roi_align', 'psamask')),
    *(f'{OPS}/cpu/{name}.cpp' for name in ('psamask', 'roi_align', 'voxelization')),
    f'{OPS}/cuda/cudabind.cpp',
    f'{OPS}/cuda/nms_cuda.cu',
]


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder like mmcv's source, as the working directory."""
    for name in SOURCES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def included(file):
    """The files that a joined file includes, relative to the working directory."""
    lines = Path(file).read_text().splitlines()
    names = [line.removeprefix('#include "').removesuffix('"') for line in lines]
    return [os.path.normpath(Path(file).parent / name) for name in names]


def test_every_source_is_compiled_exactly_once(source):
    files = mmcv_setup.joined([f'./{name}' for name in SOURCES], Path('joined'))
    whole = [file for file in files if not file.startswith('joined')]
    parts = [name for file in files if file not in whole for name in included(file)]
    assert sorted(whole + parts) == sorted(SOURCES)
    assert all((source / name).is_file() for name in parts)


def test_files_that_would_collide_are_kept_apart(source):
    files = mmcv_setup.joined(SOURCES, Path('joined'))
    assert f'{OPS}/cpu/roi_align.cpp' in files
    assert included('joined/kernels.cpp')[-1] == f'{OPS}/cpu/psamask.cpp'
    assert f'{OPS}/roi_align.cpp' in included('joined/dispatchers.cpp')


def test_cuda_sources_are_compiled_as_they_are(source):
    files = mmcv_setup.joined(SOURCES, Path('joined'))
    assert {f'{OPS}/cuda/cudabind.cpp', f'{OPS}/cuda/nms_cuda.cu'} <= set(files)


def test_a_second_start_leaves_joined_files_alone(source):
    files = [Path(f) for f in mmcv_setup.joined(SOURCES, Path('joined'))[:3]]
    for file in files:
        os.utime(file, (1, 1))
    mmcv_setup.joined(SOURCES, Path('joined'))
    assert [file.stat().st_mtime for file in files] == [1, 1, 1]


def extension(name, sources, **settings):
    return name, sources, settings


def test_only_debug_information_and_the_standard_change(source):
    flags = {'cxx': ['-Wall', '-std=c++17'], 'nvcc': ['-lineinfo', '-std=c++17']}
    make = mmcv_setup.quicker(extension, 'joined')
    name, files, settings = make(
        name='mmcv._ext', sources=SOURCES, extra_compile_args=flags, libraries=['m']
    )
    assert name == 'mmcv._ext'
    assert 'joined/kernels.cpp' in files
    assert settings == {
        'extra_compile_args': {'cxx': ['-Wall', '-g0'], 'nvcc': ['-lineinfo']},
        'libraries': ['m'],
    }


def test_a_plain_build_differs_in_the_standard_alone(source):
    make = mmcv_setup.quicker(extension, 'plain')
    flags = {'cxx': ['-std=c++17']}
    _, files, settings = make('mmcv._ext', SOURCES, extra_compile_args=flags)
    assert files == SOURCES
    assert settings == {'extra_compile_args': {'cxx': []}}


class Downloads:
    """A pip that puts down an archive, as ``pip download`` does."""

    def __init__(self, archive):
        self.archive, self.calls = archive, []

    def pip(self, label, *args):
        self.calls.append(args)
        into = Path(args[args.index('--dest') + 1])
        (into / self.archive.name).write_bytes(self.archive.read_bytes())


@pytest.fixture
def downloads(tmp_path):
    tree = tmp_path / 'tree'
    (tree / 'mmcv-2.1.0').mkdir(parents=True)
    (tree / 'mmcv-2.1.0' / 'setup.py').write_text('# the original')
    archive = shutil.make_archive(str(tmp_path / 'mmcv-2.1.0'), 'gztar', tree)
    return Downloads(Path(archive))


def test_the_source_keeps_the_original_beside_the_new_setup(downloads, tmp_path):
    work = tmp_path / 'work'
    work.mkdir()
    for _ in range(2):  # the second time nothing is fetched or unpacked
        source = mmcv_source.prepared_source(downloads, 'mmcv==2.1.0', work)
    assert len(downloads.calls) == 1
    assert (source / mmcv_setup.ORIGINAL).read_text() == '# the original'
    own = Path(mmcv_setup.__file__).read_text()
    assert (source / 'setup.py').read_text() == own


def test_pip_checks_the_sum_before_it_runs_the_source(downloads, tmp_path):
    mmcv_source.fetched(downloads, 'mmcv==2.1.0', tmp_path)
    assert '--require-hashes' in downloads.calls[0]
    pin = (tmp_path / 'source.txt').read_text()
    known = mmcv_source.SHA256['mmcv==2.1.0']
    assert pin == f'mmcv==2.1.0 --hash=sha256:{known}\n'


def test_a_version_without_a_known_sum_is_refused(tmp_path):
    with pytest.raises(machine.SetUpError, match=r'source of mmcv==9\.0 is known'):
        mmcv_source.fetched(None, 'mmcv==9.0', tmp_path)


@pytest.mark.parametrize('stack', ['openmmlab', 'onedl'])
def test_the_sum_of_each_pin_is_known(stack):
    file = ROOT / 'requirements' / f'{stack}.txt'
    assert package_index.pinned(file, whole.MMCV[stack]) in mmcv_source.SHA256
