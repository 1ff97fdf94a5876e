"""Tells what a class refuses by itself, while it is built from a config.

OpenMMLab's classes assert what they take, often without a word: a failed assertion is
a refusal of what the config gave. They also raise built-in errors, as Python itself
does where a constructor has a bug. So of these the line counts from which they came: a
``raise`` that somebody wrote there is a refusal.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
import traceback
from collections.abc import Collection
from types import FrameType

# With what libraries refuse an argument, if they do not assert.
_IN_WORDS = (KeyError, RuntimeError, TypeError, ValueError)


def refusing_class(
    error: BaseException, names: Collection[str]
) -> tuple[str, str] | None:
    """Find the class that refused what it was given.

    An assertion may be anywhere below its constructor, since data sets read their
    annotations there. Other errors must be raised by the constructor itself.

    Args:
        error: That was raised.
        names: Of the classes that the config names.

    Returns:
        tuple: The bare name of the class, and what it says, or the condition that it
        asserts, with file and line. None if no class of the config refused.
    """
    steps = list(traceback.walk_tb(error.__traceback__))
    if not steps:
        return None
    frame, line = steps[-1]
    statement = _statement(frame, line)
    makers = [
        type(f.f_locals['self']).__name__
        for f, _ in steps
        if f.f_code.co_name == '__init__' and 'self' in f.f_locals
    ]
    if not isinstance(error, AssertionError):
        own = frame.f_code.co_name == '__init__' and 'self' in frame.f_locals
        in_words = type(error) in _IN_WORDS and bool(error.args)
        raised = isinstance(statement, ast.Raise)
        makers = makers[-1:] if own and in_words and raised else []
    owner = next((name for name in reversed(makers) if name in names), None)
    if owner is None:
        return None
    place = f'{frame.f_code.co_filename!r}, line {line}'
    return owner, f'{_said(error, statement)} ({place})'


def _statement(frame: FrameType, line: int) -> ast.Assert | ast.Raise | None:
    """The ``assert`` or ``raise`` on a line, if that is what is written there."""
    try:
        lines, first = inspect.getsourcelines(frame.f_code)
        tree = ast.parse(textwrap.dedent(''.join(lines)))
    except (OSError, SyntaxError, TypeError):  # without a source, or part of a line
        return None
    number = line - max(first, 1) + 1
    written = [n for n in ast.walk(tree) if isinstance(n, (ast.Assert, ast.Raise))]
    over = (n for n in written if n.lineno <= number <= (n.end_lineno or n.lineno))
    return next(over, None)


def _said(error: BaseException, statement: ast.Assert | ast.Raise | None) -> str:
    text = str(error.args[0]) if error.args else ''
    if text:
        return text.rstrip('.')
    if isinstance(statement, ast.Assert):
        return f'it asserts {ast.unparse(statement.test)}'
    return type(error).__name__
