"""Names the hooks of a base that a config's own ``custom_hooks`` replaced.

MMEngine merges dicts of a base and replaces its lists: whoever adds a hook of their own
loses those that came with the base, and is told nothing.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from dropblock_mm.config_files import resolve_config
from dropblock_mm.runs.type_names import type_name


def replaced_hooks(name: str, cfg: Config) -> str:
    """Say which hooks of a config's bases are not in it.

    Args:
        name: A path or 'package::path'.
        cfg (Config): The config, as it was read.

    Returns:
        str: A sentence for the user; '' if all are there.
    """
    own = {type_name(hook) for hook in cfg.get('custom_hooks') or ()}
    path = resolve_config(name)
    for base, keep in _bases(Path(path)):
        hooks = Config.fromfile(base).get('custom_hooks') or ()
        lost = [t for t in dict.fromkeys(map(type_name, hooks)) if t not in own]
        if lost:
            gone = f'{" and ".join(lost)} {"is" if len(lost) == 1 else "are"} gone'
            return (
                f'custom_hooks of {name!r} replaces that of its base '
                f'{Path(base).name!r}, so {gone}. '
                f'To keep both, write custom_hooks = [*{keep}, ...]'
            )
    return ''


def _bases(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the files that a .py config inherits, and what it calls their hooks.

    None if it sets no ``custom_hooks`` itself: then it has those of its base.
    """
    if path.suffix != '.py':
        return
    body = ast.parse(path.read_text(encoding='utf-8')).body
    if 'custom_hooks' not in {name for node in body for name in _assigned(node)}:
        return
    for node in body:
        if isinstance(node, ast.Assign) and '_base_' in _assigned(node):
            for base in _evaluated(node.value):
                found = resolve_config(base) if '::' in base else path.parent / base
                yield str(found), '_base_.custom_hooks'
        elif isinstance(node, ast.With):  # with read_base():
            for part in node.body:
                file = _file_of(part, path)
                if file:
                    yield file, 'custom_hooks'


def _assigned(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else ()
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _evaluated(value: ast.expr) -> list[str]:
    """Evaluate ``_base_`` as MMEngine does, which has done so already."""
    code = compile(ast.Expression(value), '_base_', 'eval')
    bases: Any = eval(code, {})
    return list(bases) if isinstance(bases, (list, tuple)) else [bases]


def _file_of(node: ast.stmt, path: Path) -> str | None:
    """Return the file of ``from .base import *`` in a pure-Python config."""
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        return None
    if node.level:
        folder = path.parents[node.level - 1]
        return str(folder.joinpath(*node.module.split('.')).with_suffix('.py'))
    try:
        spec = importlib.util.find_spec(node.module)
    except ImportError:  # where MMEngine alone finds it
        return None
    return spec.origin if spec else None
