"""Checks of the arguments that users hand over, with one wording for all rooms."""

from __future__ import annotations

import difflib
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any, TypeVar, cast

from dropblock_mm.errors import RefusedTypeError, RefusedValueError

_Function = TypeVar('_Function', bound=Callable[..., Any])

BlockSize = int | tuple[int, ...]

# What others call the rate of dropping.
DROP_RATE_NAMES = ('drop_prob', 'drop_rate', 'p', 'rate', 'dropout_rate')


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


def check_block_size(value: Any, name: str = 'block_size', dims: int = 2) -> BlockSize:
    """Return ``value`` as a positive int, or as a tuple of one for each side.

    Args:
        value: What the user gave.
        name: The key it was given under, for the message.
        dims: Number of sides that a block has.

    Raises:
        TypeError: If it is not a whole number, nor ``dims`` of them.
        ValueError: If one is below 1, or there are more or fewer.
    """
    remedy = (
        'Give the side of the dropped square in units of the feature map: 1 is '
        'dropout, 7 is the paper on ResNet.'
    )
    if not isinstance(value, list | tuple):
        return check_count(value, name, remedy)
    sides = tuple(
        check_count(side, f'{name}[{k}]', remedy) for k, side in enumerate(value)
    )
    if len(sides) != dims:
        raise RefusedValueError(
            f'{name}={value!r} has {len(sides)} sides, and the feature map has {dims}. '
            f'Give {dims} numbers, or one for all sides.'
        )
    return sides


def check_feature_size(value: Any, name: str = 'feature_size') -> tuple[int, ...]:
    """Return ``value`` as a tuple of one to three positive ints.

    Raises:
        TypeError: If it is something else than whole numbers.
        ValueError: If there are more or fewer of them, or one is below 1.
    """
    remedy = 'Give the sides of the feature map in units, for example (40, 40).'
    if not isinstance(value, list | tuple):
        raise RefusedTypeError(f'{name}={value!r} is not a tuple. {remedy}')
    if not 1 <= len(value) <= 3:
        raise RefusedValueError(f'{name}={value!r} has {len(value)} sides. {remedy}')
    if any(isinstance(side, bool) or not isinstance(side, Integral) for side in value):
        raise RefusedTypeError(f'{name}={value!r} is not of whole numbers. {remedy}')
    if min(value) < 1:
        raise RefusedValueError(f'{name}={value!r} has a side below 1. {remedy}')
    return tuple(map(int, value))


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
    """Raise if a name in ``given`` is not in ``known``, and say which one is meant.

    Args:
        given: Argument names or keys that the user typed; a mapping tells the values
            too.
        known: Those that exist.
        owner: What takes them, for the message.

    Raises:
        TypeError: At the first unknown name.
    """
    known = list(known)
    for name in given:
        if name in known:
            continue
        value = given[name] if isinstance(given, Mapping) else None
        raise RefusedTypeError(
            f'{owner} has no argument {name!r}.{_hint(name, value, known)} It takes: '
            f'{", ".join(known)}.'
        )


def keep_prob_instead(name: str, value: Any) -> str:
    """Return what to give for an argument of :data:`DROP_RATE_NAMES`.

    Args:
        name: Its name.
        value: Its value, which need not be a rate.
    """
    if not _is_rate(value):
        return f'keep_prob = 1 - {name}: give keep_prob'
    return f'keep_prob = 1 - {name}: give keep_prob={_complement(value)}'


def names_unknown_arguments(function: _Function) -> _Function:
    """Decorate a function or ``__init__`` to answer calls that it does not take.

    A mistyped keyword is answered with the closest one, a rate of dropping with that
    of keeping, and a value by position with the call by name: elsewhere the number
    that stands there is the rate of dropping.
    """
    parameters = inspect.signature(function).parameters.values()
    by_name = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    by_position = [p.name for p in parameters if p.name not in by_name]
    is_init = by_position[:1] == ['self']
    known = [*by_position[is_init:], *by_name]
    names, most = frozenset(known), len(by_position)
    required = [name for name, p in by_name.items() if p.default is p.empty]

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= most and kwargs.keys() <= names:
            return function(*args, **kwargs)
        owner = type(args[0]).__name__ if is_init else function.__name__
        reject_unknown(kwargs, known, owner)
        if len(args) > most:
            values = args[most:]
            named = {**dict(zip(required, values, strict=False)), **kwargs}
            raise RefusedTypeError(
                _by_position_message(owner, by_position[is_init:], values[0], named)
            )
        return function(*args, **kwargs)

    return cast(_Function, checked)


def _hint(name: str, value: Any, known: list[str]) -> str:
    if name in DROP_RATE_NAMES and 'keep_prob' in known:
        return f' {keep_prob_instead(name, value)}.'
    close = difflib.get_close_matches(name, known, n=1)
    return f' Did you mean {close[0]!r}?' if close else ''


def _by_position_message(
    owner: str, by_position: list[str], first: Any, named: dict[str, Any]
) -> str:
    def call(**changed: Any) -> str:
        options = [f'{name}={value!r}' for name, value in {**named, **changed}.items()]
        return f'{owner}({", ".join([*by_position, *options])})'

    if 'keep_prob' not in named or not _is_rate(first):
        return (
            f'{owner} takes its options by name, and {first!r} has none. Write '
            f'{call()}.'
        )
    keep_prob = _complement(first)
    return (
        f'{owner} takes keep_prob by name: in torchvision, timm and mmdet the number '
        f'that stands where {first!r} does is the DROP rate. If this is one, '
        f'keep_prob = 1 - {first!r} = {keep_prob}: write '
        f'{call(keep_prob=float(keep_prob))}. If it is the rate of keeping, write '
        f'{call()}.'
    )


def _is_rate(value: Any) -> bool:
    return is_number(value) and 0.0 <= value <= 1.0


def _complement(rate: float) -> str:
    return f'{1.0 - rate:.12g}'  # 1 - 0.9 is 0.09999999999999998
