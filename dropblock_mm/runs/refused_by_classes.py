"""Tells what a class refuses by itself, while it is built from a config.

OpenMMLab's classes assert what they take, often without a word: a failed assertion is
a refusal of what the config gave. They also raise built-in errors, as Python itself
does where a constructor has a bug. So of these the words count: one that names an
argument of the constructor, or what it asks for, is a refusal.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Collection
from typing import Any

# With what libraries refuse an argument, if they do not assert.
_IN_WORDS = (KeyError, RuntimeError, TypeError, ValueError)
# Python's own errors do not speak so.
_ASKS = re.compile(r'\bshould be\b|\bis (deprecated|not installed)\b')
# No arguments, or words of Python's own errors: "unsupported operand type(s)".
_NO_ARGUMENTS = {'self', 'args', 'kwargs', 'type', 'object', 'dict', 'list', 'str'}


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
    makers = [
        (type(f.f_locals['self']), f is frame)
        for f, _ in steps
        if f.f_code.co_name == '__init__' and 'self' in f.f_locals
    ]
    if not isinstance(error, AssertionError):
        makers = [
            (maker, own) for maker, own in makers if own and _in_words(error, maker)
        ]
    found = (maker.__name__ for maker, _ in reversed(makers))
    owner = next((name for name in found if name in names), None)
    if owner is None:
        return None
    return owner, f'{_said(error)} ({frame.f_code.co_filename!r}, line {line})'


def _in_words(error: BaseException, maker: type) -> bool:
    """Whether a class that was being built says what it asks for."""
    if type(error) not in _IN_WORDS or not error.args:
        return False
    text = str(error.args[0])
    if ' ' not in text:  # a key alone, as Python says it of a dict
        return False
    words = set(re.findall(r'\w+', text))
    return bool(_ASKS.search(text) or words & _arguments(maker))


def _arguments(maker: type[Any]) -> set[str]:
    """The names of all that a class and those that it derives from can be given."""
    makers = [vars(kind)['__init__'] for kind in maker.__mro__[:-1] if _builds(kind)]
    names = {name for each in makers for name in inspect.signature(each).parameters}
    return {name for name in names if len(name) > 2} - _NO_ARGUMENTS


def _builds(kind: type) -> bool:
    return inspect.isfunction(vars(kind).get('__init__'))


def _said(error: BaseException) -> str:
    text = str(error.args[0]) if error.args else ''
    if text:
        return text.rstrip('.')
    # As a traceback would show it, if at all.
    shown = traceback.extract_tb(error.__traceback__)[-1].line or ''
    if shown.startswith('assert '):
        return f'it asserts {shown.removeprefix("assert ")}'
    return type(error).__name__
