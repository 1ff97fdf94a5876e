"""Checks of the arguments that users hand over, with one wording for all rooms."""

from __future__ import annotations

import difflib
import functools
import inspect
import math
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from typing import Any, TypeVar, cast

from dropblock_mm.errors import RefusedTypeError, RefusedValueError

_Init = TypeVar('_Init', bound=Callable[..., None])


def check_keep_prob(value: Any, name: str = 'keep_prob') -> float:
    """Return ``value`` as a float in [0, 1].

    Args:
        value: What the user gave.
        name: The key it was given under, for the message.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is NaN or outside [0, 1].
    """
    if not is_number(value):
        raise RefusedTypeError(
            f'{name}={value!r} is not a number. Give the probability of keeping '
            'a unit, from 0 to 1 (the paper uses 0.9 on ResNet).'
        )
    if not 0.0 <= value <= 1.0:  # also catches NaN
        raise RefusedValueError(
            f'{name}={value!r} is outside [0, 1]. It is the probability of keeping '
            'a unit, not of dropping it (the paper uses 0.9 on ResNet).'
        )
    return float(value)


def check_block_size(value: Any, name: str = 'block_size') -> int:
    """Return ``value`` as a positive int.

    Raises:
        TypeError: If it is not a whole number.
        ValueError: If it is below 1.
    """
    return check_count(
        value,
        name,
        'Give the side of the dropped square in units of the feature map: 1 is '
        'dropout, 7 is the paper on ResNet.',
    )


def check_count(value: Any, name: str, remedy: str) -> int:
    """Return ``value`` as a positive int, or end the message with ``remedy``.

    Raises:
        TypeError: If it is not a whole number.
        ValueError: If it is below 1.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise RefusedTypeError(f'{name}={value!r} is not a whole number. {remedy}')
    if value < 1:
        raise RefusedValueError(f'{name}={value!r} is below 1. {remedy}')
    return int(value)


def check_gamma_scale(value: Any, name: str = 'gamma_scale') -> float:
    """Return ``value`` as a finite float that is not negative.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is negative, NaN or infinite.
    """
    if not is_number(value):
        raise RefusedTypeError(
            f'{name}={value!r} is not a number. Give the factor on gamma, for '
            "example 0.25 for the paper's group 3."
        )
    if not (math.isfinite(value) and value >= 0.0):
        raise RefusedValueError(
            f'{name}={value!r} is negative or not finite. Give the factor on gamma, '
            "for example 0.25 for the paper's group 3."
        )
    return float(value)


def check_flag(value: Any, name: str) -> bool:
    """Return ``value`` if it is a bool.

    Raises:
        TypeError: If it is anything else ('False' in quotes is true in Python).
    """
    if not isinstance(value, bool):
        raise RefusedTypeError(f'{name}={value!r} is not a bool. Write True or False.')
    return value


def is_number(value: Any) -> bool:
    """Tell whether a value is a real number; True and False are not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def reject_unknown(given: Iterable[str], known: Iterable[str], owner: str) -> None:
    """Raise if a name in ``given`` is not in ``known``, and say the closest.

    Args:
        given: Argument names or keys that the user typed.
        known: Those that exist.
        owner: What takes them, for the message.

    Raises:
        TypeError: At the first unknown name.
    """
    known = list(known)
    for name in given:
        if name in known:
            continue
        close = difflib.get_close_matches(name, known, n=1)
        hint = f' Did you mean {close[0]!r}?' if close else ''
        raise RefusedTypeError(
            f'{owner} has no argument {name!r}.{hint} It takes: {", ".join(known)}.'
        )


def names_unknown_arguments(init: _Init) -> _Init:
    """Decorate an ``__init__`` to answer a mistyped keyword with the closest one."""
    known = [name for name in inspect.signature(init).parameters if name != 'self']

    @functools.wraps(init)
    def checked(self: Any, *args: Any, **kwargs: Any) -> None:
        reject_unknown(kwargs, known, type(self).__name__)
        init(self, *args, **kwargs)

    return cast(_Init, checked)
