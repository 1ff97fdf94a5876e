"""What the installed libraries do with the names that stand-ins may stand for."""

import ast
import importlib.util
from pathlib import Path

import pytest

from dropblock_mm.starting.late_imports import LATE, _begins


def files_of(module):
    """The source files of a module or a package, without importing what is in it."""
    top, _, inner = module.partition('.')
    package = Path(importlib.util.find_spec(top).origin).parent
    place = package.joinpath(*inner.split('.'))
    return sorted(place.rglob('*.py')) if place.is_dir() else [place.with_suffix('.py')]


def names_taken(tree, late):
    """Names that ``from`` may take out of a late module: those hold stand-ins."""
    return {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and not node.level
        if any(_begins(node.module, one) for one in late)
        for alias in node.names
    }


def unserved(tree, names):
    """The lines that use such a name otherwise than a stand-in can serve."""
    parents = {c: p for p in ast.walk(tree) for c in ast.iter_child_nodes(p)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in names:
            parent = parents[node]
            called = isinstance(parent, ast.Call) and parent.func is node
            derived = isinstance(parent, ast.ClassDef) and node in parent.bases
            asked = isinstance(parent, ast.Attribute) or ast.unparse(parent) in (
                f'{node.id} is None',
                f'{node.id} is not None',
                f'{node.id} = None',
            )
            if not (called or derived or asked):
                yield f'{node.lineno}: {ast.unparse(parent)}'


@pytest.mark.parametrize('module', LATE)
def test_a_library_uses_them_only_in_ways_that_a_stand_in_serves(module):
    if importlib.util.find_spec(module.partition('.')[0]) is None:
        pytest.skip(f'{module} is not installed')
    found, seen = [], 0
    for file in files_of(module):
        text = file.read_text()
        if not any(one in text for one in LATE[module]):
            continue
        tree = ast.parse(text)
        names = names_taken(tree, LATE[module])
        assert '*' not in names, file
        seen += len(names) + sum(f'import {one}' in text for one in LATE[module])
        found += [f'{file}:{line}' for line in unserved(tree, names)]
    assert not found
    assert seen, 'nothing is late here'


@pytest.mark.parametrize(
    ('use', 'is_served'),
    [
        ('solve(1)', True),
        ('class Mine(solve): pass', True),
        ('solve.size', True),
        ('if solve is None: raise ImportError', True),
        ('try:\n    f()\nexcept solve:\n    pass', False),
        ('solve[0]', False),
        ('f(solve)', False),
    ],
)
def test_such_uses_are_told_apart(use, is_served):
    tree = ast.parse(f'from scipy.optimize import solve\n{use}')
    found = list(unserved(tree, names_taken(tree, ('scipy',))))
    assert (not found) is is_served
