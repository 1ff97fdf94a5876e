"""Two wings: the method imports torch alone, and runs know nothing of the method."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'dropblock_mm'

# Everyone may use these.
BASE = {'errors', 'version', 'config_files', 'programs', 'registry', 'tables_md'}
BASE |= {'recomputation'}
METHOD = {'ops', 'layers', 'injection'}  # torch, and nothing else
METHOD_FOR_MMENGINE = {'hooks', 'models'}
RUNS = {'runs', 'data_checks', 'reproduction'}  # would serve a config without DropBlock

# What each room may import of the package. A new room needs a line here.
MAY_IMPORT = {
    'errors': set(),
    'version': set(),
    'programs': set(),
    'recomputation': set(),
    '__main__': {'programs'},
    'registry': set(),
    'tables_md': set(),
    'starting': set(),
    'config_files': {'errors'},
    'ops': {'errors'},
    'layers': {'errors', 'ops'},
    'injection': {'errors', 'layers', 'ops'},
    'models': {'errors', 'layers', 'ops', 'recomputation', 'registry'},
    'hooks': {'errors', 'config_files', 'injection', 'layers', 'ops', 'registry'},
    'datasets': {'errors', 'registry'},
    'runs': {'errors', 'config_files', 'programs', 'recomputation', 'registry'},
    'data_checks': {'errors', 'config_files', 'datasets', 'programs', 'runs'},
    'reproduction': {'errors', 'config_files', 'datasets', 'data_checks', 'runs'}
    | {'programs', 'tables_md', 'version'},
    'analysis': BASE | METHOD | METHOD_FOR_MMENGINE | RUNS | {''},
    'commands': BASE
    | METHOD
    | METHOD_FOR_MMENGINE
    | RUNS
    | {'', 'analysis', 'datasets', 'starting'},
    # The package itself: what it exports, which is all that `testing` may use.
    '': {'config_files', 'errors', 'hooks', 'injection', 'layers', 'models', 'ops'}
    | {'runs', 'version'},
    'testing': BASE | METHOD | METHOD_FOR_MMENGINE | {'', 'analysis', 'datasets'},
}
METHOD_THIRD_PARTY = {'torch'}
USERS = ('tools', 'tests', 'configs')


def python_files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob('*.py'))


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def imported(file: Path) -> Iterator[str]:
    """Every module or name a file imports, wherever it does so, in full."""
    package = module_name(file).split('.')
    if file.name != '__init__.py':
        package = package[:-1]
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            base = '.'.join(above + ([node.module] if node.module else []))
            yield from (f'{base}.{alias.name}' for alias in node.names)


def room_of(name: str) -> str:
    """The room of a module or name: 'ops' for dropblock_mm.ops.rates.seed_rate.

    `from dropblock_mm import seed_rate` comes from no room but the package itself.
    """
    rest = name.split('.')[1:2]
    known = (ROOT / PACKAGE / rest[0]).is_dir() if rest else False
    known = known or (bool(rest) and (ROOT / PACKAGE / f'{rest[0]}.py').is_file())
    return rest[0] if known else ''


def is_ours(name: str) -> bool:
    return name.split('.')[0] == PACKAGE


@pytest.mark.parametrize('file', python_files(PACKAGE), ids=module_name)
def test_imports_go_one_way(file):
    room = room_of(module_name(file))
    assert room in MAY_IMPORT, f'{room!r} is a new room: give it a line in MAY_IMPORT'
    allowed = MAY_IMPORT[room] | ({room} if room else set())
    wrong = [n for n in imported(file) if is_ours(n) and room_of(n) not in allowed]
    assert not wrong, f'{module_name(file)} may import {sorted(allowed)}, not {wrong}'


METHOD_FILES = [f for room in sorted(METHOD) for f in python_files(f'{PACKAGE}/{room}')]


@pytest.mark.parametrize('file', METHOD_FILES, ids=module_name)
def test_the_method_imports_torch_alone(file):
    tops = {name.split('.')[0] for name in imported(file) if not is_ours(name)}
    kernels = {'triton'} if file.parent.name == 'gpu' else set()
    assert tops <= METHOD_THIRD_PARTY | kernels | sys.stdlib_module_names


def test_neither_wing_may_import_the_other():
    method = METHOD | METHOD_FOR_MMENGINE
    assert not any(MAY_IMPORT[room] & RUNS for room in method)
    assert not any(MAY_IMPORT[room] & method for room in RUNS)


def test_the_design_page_says_what_each_room_may_import():
    page = (ROOT / 'docs/en/design.md').read_text()
    text = page.partition('## How settings')[0]
    rows = re.findall(r'^\| `(\w+)` \| .* \| ([\w, ]+) \|$', text, re.MULTILINE)
    told = {room: set(rooms.split(', ')) for room, rooms in rows}
    assert set(told) == METHOD | METHOD_FOR_MMENGINE | RUNS | {'datasets'}
    assert told == {room: MAY_IMPORT[room] for room in told}


def test_only_commands_parse_the_command_line():
    parsers = {
        module_name(f) for f in python_files(PACKAGE) if 'argparse' in {*imported(f)}
    }
    assert parsers
    assert {room_of(name) for name in parsers} == {'commands'}


SILENT = sorted(METHOD | METHOD_FOR_MMENGINE | {'analysis', 'datasets', 'reproduction'})
SILENT_FILES = [f for room in SILENT for f in python_files(f'{PACKAGE}/{room}')]


@pytest.mark.parametrize('file', SILENT_FILES, ids=module_name)
def test_commands_print_and_these_rooms_never(file):
    calls = [
        n.func for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)
    ]
    assert 'print' not in {getattr(call, 'id', None) for call in calls}


@pytest.mark.parametrize('file', python_files(f'{PACKAGE}/testing'), ids=module_name)
def test_testing_uses_public_code_only(file):
    ours = [name for name in imported(file) if is_ours(name)]
    assert not [n for n in ours if any(p.startswith('_') for p in n.split('.'))]


@pytest.mark.parametrize('folder', [PACKAGE, *USERS])
def test_nothing_imports_tools_tests_and_configs(folder):
    """But that tests import tools, which are a package of scripts for a clone."""
    taken = set(USERS) - ({'tools'} if folder in ('tools', 'tests') else set())
    for file in python_files(folder):
        wrong = [name for name in imported(file) if name.split('.')[0] in taken]
        assert not wrong, f'{file.relative_to(ROOT)} imports {wrong}'


def test_relative_and_lazy_imports_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], 'ROOT', tmp_path)
    file = tmp_path / PACKAGE / 'ops' / 'rates.py'
    file.parent.mkdir(parents=True)
    file.write_text(
        'def f():\n    from ..hooks import schedules\n    import torch.nn\n'
    )
    assert list(imported(file)) == ['dropblock_mm.hooks.schedules', 'torch.nn']
