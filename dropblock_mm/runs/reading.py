"""Reads config files, and says which one cannot be read."""

from __future__ import annotations

import ast
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config

from dropblock_mm.config_files import resolve_config
from dropblock_mm.errors import RefusedError, RefusedFileError, RefusedValueError
from dropblock_mm.runs.refused_by_mmengine import said

# What MMEngine's reader raises for what a file says: keys that are reserved, given
# twice or do not fit those they inherit; names that are not defined; modules that are
# not there. It has no class for all of them; this one is a RuntimeError, and so are
# a chain of _base_ that mixes the two kinds of config, and one that has no end.
_PARSING = 'ConfigParsingError'
_ENDLESS = '. A file whose _base_ leads back to itself ends so.'
# A config is a program, and errors of its own are as well: 1 / 0, [][0], open('no').
_CONTENT = (
    LookupError,
    TypeError,
    NameError,
    ImportError,
    ValueError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,
)


def read_config(name: str) -> Config:
    """Read a config.

    Args:
        name: A path or 'package::path'.

    Raises:
        RefusedError: It cannot be read.
    """
    path = resolve_config(name)
    with refusing_unreadable_configs(f'config {name!r}', path):
        return Config.fromfile(path)


@contextmanager
def refusing_unreadable_configs(
    typed: str,
    path: str | None = None,
    content: tuple[type[Exception], ...] = _CONTENT,
) -> Iterator[None]:
    """Around a call that reads config files.

    Args:
        typed: What the user typed, for messages.
        path: Its file, to find the line of an error.
        content: Errors that mean what a file says. A call that does more than to read
            gives none: they might be bugs.

    Raises:
        RefusedFileError: A file of it, such as a ``_base_``, is not there.
        RefusedValueError: It cannot be understood.
    """
    try:
        yield
    except RefusedError:
        raise
    except SyntaxError as error:
        where = next(_broken(Path(path)), error) if path else error
        raise RefusedValueError(
            f'{typed} cannot be read: {where.filename!r}, line {where.lineno}: '
            f'{where.msg}.'
        ) from error
    except OSError as error:
        raise RefusedFileError(
            f'{typed} cannot be read: {error}. Correct its name, or what its _base_ '
            'says.'
        ) from error
    except Exception as error:
        if type(error).__name__ == _PARSING:
            raise RefusedValueError(f'{typed} cannot be read: {error}') from error
        if not isinstance(error, content):
            raise
        endless = isinstance(error, RecursionError)
        raise RefusedValueError(
            f'{typed} cannot be read: {type(error).__name__}: {said(error)}'
            f'{_line_of(error)}{_ENDLESS if endless else ""}'
        ) from error


def _line_of(error: BaseException) -> str:
    """Say where in the config, or in what it inherits, an error was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.name == '<module>']
    return f' ({own[-1].filename!r}, line {own[-1].lineno})' if own else ''


def _broken(path: Path) -> Iterator[SyntaxError]:
    """Find what MMEngine does not name: the file, the config or what it inherits."""
    if path.suffix != '.py' or not path.is_file():
        return
    try:
        tree = ast.parse(path.read_text(encoding='utf-8'), str(path))
    except SyntaxError as error:
        yield error
        return
    for node in tree.body:
        if isinstance(node, ast.Assign) and _assigns_base(node):
            for part in ast.walk(node.value):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield from _broken(path.parent / part.value)


def _assigns_base(node: ast.Assign) -> bool:
    return any(isinstance(t, ast.Name) and t.id == '_base_' for t in node.targets)
