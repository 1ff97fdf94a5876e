"""What a user gets from pip, seen from outside the clone."""

import configparser
import importlib.metadata as metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dropblock_mm.programs import PROGRAMS

ROOT = Path(__file__).resolve().parents[1]
ENGINES = ('mmengine', 'onedl-mmengine')


def check_output(*command, **kwargs):
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, **kwargs
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A copy of the clone's files, so that no build/ is left in the clone."""
    folder = tmp_path_factory.mktemp('source')
    listed = check_output('git', 'ls-files', '-co', '--exclude-standard', cwd=ROOT)
    for name in listed.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    return folder


def build_wheel(source, folder, **environment):
    shutil.copytree(source, folder / 'source')
    flags = ['--no-deps', '--no-build-isolation', '--no-index', '-w', folder]
    check_output(
        *(sys.executable, '-m', 'pip', 'wheel', *flags, folder / 'source'),
        env=os.environ | environment,
    )
    return next(folder.glob('dropblock_mm-*.whl'))


@pytest.fixture(scope='module')
def wheel(source, tmp_path_factory):
    return build_wheel(source, tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def bare_python(tmp_path_factory):
    """Python of an environment with torch, MMEngine and what these need."""
    folder = tmp_path_factory.mktemp('bare') / 'env'
    venv.create(folder, with_pip=False, symlinks=True)
    site = next(folder.glob('lib/python*/site-packages'))
    engine = next(name for name in ENGINES if is_installed(name))
    # The fork's MMEngine needs OpenCV without saying so.
    tools = ('opencv-python', 'setuptools', 'wheel', 'pip')
    for name in closure('torch', engine, *tools):
        link_distribution(name, site)
    return folder / 'bin' / 'python'


def is_installed(name):
    try:
        return bool(metadata.distribution(name))
    except metadata.PackageNotFoundError:
        return False


def closure(*names):
    """The installed distributions that these need, themselves included."""
    found, queue = {}, [Requirement(name) for name in names]
    while queue:
        need = queue.pop()
        if str(need) in found or not is_installed(need.name):
            continue
        found[str(need)] = need.name
        lines = metadata.requires(need.name) or []
        queue += [r for r in map(Requirement, lines) if is_needed(r, need.extras)]
    return sorted(set(found.values()))


def is_needed(requirement, extras):
    """Whether its marker holds; torch's CUDA libraries are extras of one package."""
    marker = requirement.marker
    return not marker or any(marker.evaluate({'extra': e}) for e in ['', *extras])


def link_distribution(name, site):
    distribution = metadata.distribution(name)
    tops = {file.parts[0] for file in distribution.files} - {'..', '__pycache__'}
    for top in tops:
        if not (site / top).exists():
            (site / top).symlink_to(distribution.locate_file(top))


@pytest.fixture(scope='module')
def installed(bare_python, wheel):
    """The same Python after `pip install WHEEL`, with no index to get more from."""
    flags = ['--no-index', '--no-cache-dir']
    check_output(bare_python, '-m', 'pip', 'install', *flags, wheel)
    return bare_python


def test_only_torch_is_required(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith('/METADATA'))
        fields = Parser().parsestr(archive.read(name).decode())
    needs = fields.get_all('Requires-Dist')
    assert [need for need in needs if 'extra ==' not in need] == ['torch>=2.1']
    extras = {'openmmlab', 'onedl', 'demo', 'docs', 'test', 'exporters'}
    extras |= {'completion', 'slurm'}
    assert set(fields.get_all('Provides-Extra')) == extras


def test_the_wheel_holds_every_module_and_config(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    modules = (p.relative_to(ROOT) for p in (ROOT / 'dropblock_mm').rglob('*.py'))
    configs = (p.relative_to(ROOT) for p in (ROOT / 'configs').rglob('*.*'))
    expected = {str(p) for p in modules}
    expected |= {f'dropblock_mm/{p}' for p in configs if p.suffix != '.pyc'}
    assert expected <= held
    # Its paths begin with configs/, as where mim looks for it.
    assert 'dropblock_mm/model-index.yml' in held
    assert any(name.endswith('.dist-info/licenses/LICENSE') for name in held)
    tops = {name.split('/')[0] for name in held}
    assert {top for top in tops if not top.endswith('.dist-info')} == {'dropblock_mm'}


def test_it_builds_without_a_compiler(source, tmp_path):
    """Then the wheel lacks the loops in C, and nothing else."""
    built = build_wheel(source, tmp_path, CC='false')
    with zipfile.ZipFile(built) as archive:
        names = archive.namelist()
    assert 'dropblock_mm/ops/cpu/torch_loops.py' in names
    assert not any('_native' in name for name in names)


def test_with_a_compiler_the_wheel_serves_every_python(wheel):
    if not shutil.which(sysconfig.get_config_var('CC').split()[0]):
        pytest.skip('no C compiler on the PATH')
    with zipfile.ZipFile(wheel) as archive:
        native = [name for name in archive.namelist() if '_native' in name]
    assert native == ['dropblock_mm/ops/cpu/_native.abi3.so']
    assert '-cp310-abi3-' in wheel.name


def test_pip_install_adds_nothing_to_torch_and_mmengine(installed, tmp_path):
    code = (
        'import importlib.util as u, importlib.metadata as m, dropblock_mm as d\n'
        'from dropblock_mm.registry import HOOKS\n'
        "assert HOOKS.get('dropblock_mm.KeepProbScheduleHook')\n"
        "assert not any(map(u.find_spec, ['mmcv', 'mmdet', 'mmseg']))\n"
        'print(d.__file__)\n'
        "print([x.name for x in m.distributions() if 'mmengine' in x.name])\n"
    )
    file, engines = check_output(installed, '-c', code, cwd=tmp_path).splitlines()
    assert Path(file).is_relative_to(installed.parents[1])
    assert engines.count('mmengine') == 1


def test_the_wheel_brings_the_commands(installed, tmp_path):
    script = installed.parent / 'dropblock-mm'
    listed = check_output(script, cwd=tmp_path)
    assert listed.startswith('usage: dropblock-mm COMMAND')
    for name in PROGRAMS:
        assert f'  {name} ' in listed
    said = check_output(installed, '-m', 'dropblock_mm', 'train', '--help')
    assert said.startswith('usage: python -m dropblock_mm train ')
    # There is no tools/ to type, and nothing of it is told.
    said = check_output(script, 'reproduce', '--help', cwd=tmp_path)
    assert 'dropblock-mm reproduce table3 --smoke' in said
    assert 'python tools/' not in said


def test_the_wheel_trains_by_its_own_commands(installed, tmp_path):
    config = 'bccd/retinanet_r18_fpn_scratch_bccd.py'
    code = (
        'from pathlib import Path\n'
        'from mmengine.config import Config\n'
        'from dropblock_mm.config_files import config_path\n'
        'from dropblock_mm.programs import in_clone, typed\n'
        'from dropblock_mm.reproduction import commands\n'
        'from dropblock_mm.reproduction.plan import Run\n'
        'from dropblock_mm.reproduction.tables import BCCD\n'
        f'cfg = Config.fromfile(config_path({config!r}))\n'
        "run = Run(BCCD.rows[0], 0, Path('w'), Path('c.py'), cfg)\n"
        'launcher = commands.Launcher()\n'
        'command = commands.train_command(run, launcher, resume=True)\n'
        'print(in_clone())\n'
        "print(typed('reproduce', 'bccd'))\n"
        'print(commands.shown(command))\n'
    )
    said = check_output(installed, '-c', code, cwd=tmp_path).splitlines()
    assert said == [
        'False',
        'python -m dropblock_mm reproduce bccd',
        'python -m dropblock_mm train c.py --work-dir w --resume',
    ]


def test_a_config_outside_the_clone_inherits_a_shipped_one(installed, tmp_path):
    fragment = '_base_/dropblock/resnet_c4c5.py'
    (tmp_path / 'mine.py').write_text(
        f"_base_ = [__import__('dropblock_mm').config_path({fragment!r})]\n"
        'mine = True\n'
    )
    code = (
        'from mmengine.config import Config\n'
        "cfg = Config.fromfile('mine.py')\n"
        "print(cfg.mine, [hook['type'] for hook in cfg.custom_hooks])\n"
    )
    said = check_output(installed, '-c', code, cwd=tmp_path)
    assert said.startswith('True')
    assert 'dropblock_mm.DropBlockInjectionHook' in said


def test_an_editable_install_finds_the_clones_configs(tmp_path):
    code = (
        'from dropblock_mm.config_files import config_path\n'
        "print(config_path('_base_/dropblock/resnet_c4c5.py'))\n"
    )
    spec = importlib.util.find_spec('dropblock_mm')
    if not is_installed('dropblock_mm'):
        pytest.skip(f'dropblock_mm is imported from {spec.origin}, not installed')
    said = check_output(sys.executable, '-c', code, cwd=tmp_path)
    assert Path(said.strip()).is_relative_to(ROOT / 'configs')


def test_the_extras_admit_the_pins():
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    pins = {}
    for file in (ROOT / 'requirements').glob('*.txt'):
        lines = (line.partition('#')[0].strip() for line in file.open())
        parsed = [Requirement(line) for line in lines if line]
        pins |= {canonicalize_name(r.name): str(r.specifier)[2:] for r in parsed}
    extras = dict(setup['options.extras_require'])
    tools = [Requirement(line) for line in extras.pop('exporters').split()]
    assert all(str(tool.specifier).startswith('==') for tool in tools)
    needs = [
        Requirement(n) for lines in extras.values() for n in lines.split('\n') if n
    ]
    for need in [*needs, Requirement(setup['options']['install_requires'].strip())]:
        assert pins[canonicalize_name(need.name)] in need.specifier, need


def test_the_stacks_are_never_required_together():
    setup = configparser.ConfigParser()
    setup.read(ROOT / 'setup.cfg')
    extras = setup['options.extras_require']
    assert 'onedl' not in extras['openmmlab']
    theirs = [line for line in extras['onedl'].split() if line.startswith('mm')]
    assert not theirs
