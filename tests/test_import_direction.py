"""Imports go one way: engine -> injection -> models -> ops -> torch."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = 'dropblock_mm'

# What each room may import of the package. A new room needs a line here.
MAY_IMPORT = {
    'version': set(),
    'config_files': set(),
    'registry': set(),
    'ops': set(),
    'models': {'ops', 'registry'},
    'injection': {'models', 'ops'},
    'engine': {'config_files', 'injection', 'models', 'ops', 'registry'},
    'datasets': {'registry'},
    # The package itself: what it exports, which is all that `testing` may use.
    '': {'config_files', 'engine', 'injection', 'models', 'ops', 'version'},
    'testing': {'', 'datasets', 'engine', 'injection', 'models', 'ops', 'registry'},
}
OPS_THIRD_PARTY = {'torch', 'triton'}
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


@pytest.mark.parametrize('file', python_files(f'{PACKAGE}/ops'), ids=module_name)
def test_ops_import_torch_only(file):
    tops = {name.split('.')[0] for name in imported(file) if not is_ours(name)}
    assert tops <= OPS_THIRD_PARTY | sys.stdlib_module_names


@pytest.mark.parametrize('file', python_files(f'{PACKAGE}/testing'), ids=module_name)
def test_testing_uses_public_code_only(file):
    ours = [name for name in imported(file) if is_ours(name)]
    assert not [n for n in ours if any(p.startswith('_') for p in n.split('.'))]


@pytest.mark.parametrize(
    'file', python_files(f'{PACKAGE}/engine/hooks'), ids=module_name
)
def test_hooks_leave_to_tools_what_only_tools_need(file):
    rooms = [f'{PACKAGE}.engine.{room}' for room in ('launch', 'data_checks')]
    assert not [name for name in imported(file) if name.startswith(tuple(rooms))]


@pytest.mark.parametrize('folder', [PACKAGE, *USERS])
def test_nothing_imports_tools_tests_and_configs(folder):
    taken = set(USERS) | {stem for user in USERS for stem in scripts(user)}
    for file in python_files(folder):
        names = [name for name in imported(file) if not is_from_own_parts(name, file)]
        wrong = [name for name in names if name.split('.')[0] in taken]
        assert not wrong, f'{file.relative_to(ROOT)} imports {wrong}'


def is_from_own_parts(name: str, file: Path) -> bool:
    package = '.'.join(file.parent.relative_to(ROOT).parts)
    in_package = (file.parent / '__init__.py').exists()
    return in_package and name.startswith(f'{package}.')


def scripts(folder: str) -> set[str]:
    """Import names of scripts; a script may have a package of parts beside it."""
    lone = (f for f in python_files(folder) if not (f.parent / '__init__.py').exists())
    return {f.stem for f in lone} - set(sys.stdlib_module_names)


def test_relative_and_lazy_imports_are_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], 'ROOT', tmp_path)
    file = tmp_path / PACKAGE / 'ops' / 'rates.py'
    file.parent.mkdir(parents=True)
    file.write_text('def f():\n    from ..engine import hooks\n    import torch.nn\n')
    assert list(imported(file)) == ['dropblock_mm.engine.hooks', 'torch.nn']
