"""Tells what a class refuses by itself, while it is built from a config.

OpenMMLab's classes assert what they take, often without a word: a failed assertion is
a refusal of what the config gave. They also raise built-in errors, as Python itself
does where a constructor has a bug. So of these the words count: a refusal speaks of
what the constructor was given, or of a package to install. No code is looked at for
that; of an assertion without words the line is shown, as a traceback shows it.
"""

from __future__ import annotations

import inspect
import linecache
import re
import traceback
from collections.abc import Collection, Iterator
from types import FrameType

# With what libraries refuse an argument, if they do not assert.
_IN_WORDS = (KeyError, RuntimeError, TypeError, ValueError)
# Parts of arguments' names that Python's own messages have too, and such as 'in'.
_PYTHONS_WORDS = {'argument', 'base', 'index', 'keyword', 'object', 'type', 'value'}
_SHORT = 4


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
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    makers = [frame for frame in frames if _is_constructor(frame)]
    if not isinstance(error, AssertionError):
        own = makers[-1:] if makers and makers[-1] is frames[-1] else []
        in_words = type(error) in _IN_WORDS and bool(error.args)
        makers = [f for f in own if in_words and _speaks_of(error, f)]
    owners = (type(frame.f_locals['self']).__name__ for frame in reversed(makers))
    owner = next((name for name in owners if name in names), None)
    if owner is None:
        return None
    step = traceback.extract_tb(error.__traceback__)[-1]
    place = f'{step.filename!r}, line {step.lineno}'
    return owner, f'{_said(error, step)} ({place})'


def _is_constructor(frame: FrameType) -> bool:
    return frame.f_code.co_name == '__init__' and 'self' in frame.f_locals


def _speaks_of(error: BaseException, constructor: FrameType) -> bool:
    """Whether its words are about what a constructor was given, or lacks."""
    text = str(error.args[0])
    # A word alone is a key that some dict has not, as Python says it.
    words = set(_parts(text)) if ' ' in text else set()
    names, texts = _given(constructor)
    spoken = {part for name in names for part in (name.lower(), *_parts(name))}
    return (
        bool(words & (spoken - _PYTHONS_WORDS))
        or any(re.search(rf'(?<!\w){re.escape(t)}(?!\w)', text) for t in texts)
        or 'install' in text
    )


def _given(constructor: FrameType) -> tuple[set[str], set[str]]:
    """Names of a constructor's arguments, and those of their values that are text."""
    given = inspect.getargvalues(constructor)
    more = given.locals.get(given.keywords or '', {})
    values = {**{name: given.locals.get(name) for name in given.args[1:]}, **more}
    return {*values}, {v for v in values.values() if isinstance(v, str) and v}


def _parts(text: str) -> Iterator[str]:
    """Words, and what joins them with '_', in lower case; neither short nor plural."""
    for name in re.findall(r'\w+', text.lower()):
        yield name
        for word in name.split('_'):
            if len(word) >= _SHORT:
                yield word.removesuffix('s')


def _said(error: BaseException, step: traceback.FrameSummary) -> str:
    # Messages that go on in a second line of code have its indentation in them.
    text = ' '.join(str(error.args[0]).split()) if error.args else ''
    if text:
        return text.rstrip('.')
    condition = _shown(step).removeprefix('assert').strip()
    return f'it asserts {condition}' if condition else type(error).__name__


def _shown(step: traceback.FrameSummary) -> str:
    """The lines that a traceback points at; the first one before Python 3.11."""
    first = step.lineno or 0
    last = getattr(step, 'end_lineno', None) or first
    lines = (linecache.getline(step.filename, n) for n in range(first, last + 1))
    return ' '.join(filter(None, map(str.strip, lines)))
