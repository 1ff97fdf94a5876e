"""Turns what MMEngine refuses into refusals of :mod:`dropblock_mm.errors`.

MMEngine raises built-in errors, and Python itself the one about an argument that a
constructor does not have. Which of them the user's config is to blame for is told by
what they say, compared with the config: a class that the config names, given an
argument that the config names, is the config's fault; the same error of a call that
the config knows nothing of is a bug, and passes. What a class refuses in words of its
own, or by an assertion without any, is told by
:mod:`dropblock_mm.runs.refused_by_classes`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config

from dropblock_mm.errors import (
    RefusedError,
    RefusedFileError,
    RefusedTypeError,
    RefusedValueError,
)
from dropblock_mm.runs.config_dicts import dicts_in
from dropblock_mm.runs.refused_by_classes import refusing_class
from dropblock_mm.runs.registered_names import meant_by
from dropblock_mm.runs.type_names import type_name

# What MMEngine's registries, configs and Runner say of a config that cannot be built.
_CHECKS = {
    KeyError: r'is not in the .*registry|must contain the key "type"',
    TypeError: r'^type must be a str or valid type|^cfg should be a dict, ConfigDict',
    AttributeError: r"^'ConfigDict' object has no attribute",
    ValueError: r'should be either all None or not None',
    FileNotFoundError: r'^file ".*" does not exist',
    # The second is of what a library takes only for some types, lvis for one.
    ImportError: r'^Failed to import |[Pp]lease (run|install)',
    SyntaxError: r'^Failed to format the config file',
}
_UNEXPECTED = re.compile(r"([\w.<>]+)\(\) got an unexpected keyword argument '(\w+)'")
_MISSING = re.compile(r'([\w.<>]+)\(\) missing \d+ required .*argument')
_UNREGISTERED = re.compile(r'^(\S+) is not in the ')


@contextmanager
def refusing_what_mmengine_refuses(
    config: Mapping[str, Any] | Config | None = None,
    unless: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Around calls that build something from a config.

    Args:
        config: What is built from, whole. Without it arguments cannot be judged.
        unless: Asked when something was raised; if it says True that passes.

    Raises:
        RefusedError: For every error that the config is to blame for.
    """
    try:
        yield
    except RefusedError:
        raise
    except Exception as error:
        # A Config is no Mapping, and its classes are to be named as text.
        plain = config.to_dict() if isinstance(config, Config) else config
        refusal = None if unless() else _refusal(error, plain or {})
        if refusal is None:
            raise
        raise refusal from error


def _refusal(error: Exception, config: Mapping[str, Any]) -> RefusedError | None:
    text = said(error)
    for kind, pattern in _CHECKS.items():
        if isinstance(error, kind) and re.search(pattern, text):
            if isinstance(error, SyntaxError):  # it quotes the whole config
                return RefusedValueError(_not_written(config))
            return RefusedValueError(
                _without_advice(text) + _places(text, config) + meant_by(text)
            )
    if isinstance(error, TypeError) and _is_of_the_config(text, config):
        # Python's own messages end without a full stop.
        return RefusedTypeError(f'{text.rstrip(".")}.{_places(text, config)}')
    return (
        _of_a_file(error, config)
        or _of_a_lack(error, config)
        or _by_a_class(error, config)
    )


def _of_a_file(error: Exception, config: Mapping[str, Any]) -> RefusedFileError | None:
    """Name the key of a file that cannot be opened, such as a teacher's config."""
    file = error.filename if isinstance(error, OSError) else None
    named = [
        f'{place}{key}={value!r}'
        for place, part in dicts_in(config)
        for key, value in part.items()
        if isinstance(value, str) and value and value == file
    ]
    if not named or not isinstance(error, OSError):
        return None
    return RefusedFileError(
        f'{" and ".join(named[:3])} cannot be opened: {error.strerror} (looked from '
        f'{os.getcwd()!r}). Give the path of a file that is there.'
    )


def _of_a_lack(error: Exception, config: Mapping[str, Any]) -> RefusedValueError | None:
    """Name the part of the config that has no such key, if the error is of that."""
    found = {key.rstrip('.'): part for key, part in dicts_in(config)}
    for part, key, example, words in _TAKEN_FOR_GIVEN:
        lacks = part in found and key not in found[part]
        if lacks and said(error) == words:
            return RefusedValueError(
                f'{part} has no {key}, which every run needs. Give it, say '
                f'{part}=dict({example}).'
            )
    return None


# Where MMEngine takes a key for given: an example of it, and what is said without it.
_TAKEN_FOR_GIVEN = (
    *(
        (
            f'{loop}_dataloader',
            'dataset',
            "dataset=dict(type='CocoDataset', ...)",
            "object of type 'NoneType' has no len()",
        )
        for loop in ('train', 'val', 'test')
    ),
    ('optim_wrapper.optimizer', 'type', "type='SGD'", 'type'),
)
# Classes of which a config need not give the names.
_IMPLIED = {
    'EpochBasedTrainLoop': 'train_cfg',
    'IterBasedTrainLoop': 'train_cfg',
    'ValLoop': 'val_cfg',
    'TestLoop': 'test_cfg',
}


def _by_a_class(
    error: Exception, config: Mapping[str, Any]
) -> RefusedValueError | None:
    """Word the refusal of a class that the config names, with all it was given."""
    typed = [(key, part) for key, part in dicts_in(config) if 'type' in part]
    implied = {n for n, key in _IMPLIED.items() if isinstance(config.get(key), Mapping)}
    refused = refusing_class(error, {type_name(part) for _, part in typed} | implied)
    if refused is None:
        return None
    name, said_by_it = refused
    keys = [key.rstrip('.') or 'the config' for key, p in typed if type_name(p) == name]
    keys = keys or [_IMPLIED[name]]
    where = ' or '.join(keys[:3])
    if 'not installed' in said_by_it:
        return RefusedValueError(
            f'{name}, which {where} names, lacks a package: {said_by_it}. Install it '
            'in the environment of this Python, or name another class.'
        )
    return RefusedValueError(
        f'{name} refuses what it is given in {where}: {said_by_it}. '
        'Change or take out the argument that this is about.'
    )


def said(error: BaseException) -> str:
    """What an error says; ``str`` of a KeyError quotes it and escapes its newlines."""
    if isinstance(error, KeyError) and error.args:
        return str(error.args[0])
    return str(error)


def _not_written(config: Mapping[str, Any]) -> str:
    """Name the values that no config file can hold: MMEngine writes every config."""
    plain = (str, int, float, bool, type(None), list, tuple, Mapping, type)
    odd = [
        f'{place}{key}={value!r} ({type(value).__name__})'
        for place, part in dicts_in(config)
        for key, value in part.items()
        if not isinstance(value, plain)
    ]
    named = ', '.join(odd) or 'no key shows why'
    return (
        f'the config cannot be written as text: {named}. Give numbers, text, lists '
        'and dicts instead.'
    )


def _without_advice(text: str) -> str:
    """MMEngine links to a page on importing modules, which is seldom the matter."""
    return text.partition(' More details can be found at')[0]


def _is_of_the_config(text: str, config: Mapping[str, Any]) -> bool:
    """Whether the config names the class that was called, or what it was given."""
    typed = [part for _, part in dicts_in(config) if 'type' in part]
    unexpected, missing = _UNEXPECTED.search(text), _MISSING.search(text)
    if unexpected:
        return any(unexpected[2] in part for part in typed)
    if missing:
        return any(_callee(missing[1]) == type_name(part) for part in typed)
    return False


def _callee(name: str) -> str:
    """The class in 'Class.__init__', or a function's name."""
    return name.removesuffix('.__init__').rpartition('.')[2]


def _places(text: str, config: Mapping[str, Any]) -> str:
    """Say where in the config that stands, if it is found."""
    unexpected, unknown = _UNEXPECTED.search(text), _UNREGISTERED.search(text)
    found: list[str] = []
    for key, part in dicts_in(config):
        if unexpected and 'type' in part and unexpected[2] in part:
            found.append(f'{key}{unexpected[2]}={part[unexpected[2]]!r}')
        elif unknown and part.get('type') == unknown[1]:
            found.append(f'{key}type={unknown[1]!r}')
    return f' The config has {" and ".join(found[:3])}.' if found else ''
