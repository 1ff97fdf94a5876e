"""What a config's types are called: text or, in pure-Python configs, classes."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, cast

from dropblock_mm.runs.config_dicts import dicts_in
from dropblock_mm.runs.libraries import LIBRARIES


def bare_name(kind: Any) -> str:
    """The name of a ``type`` without its scope or module; '' of None."""
    return getattr(kind, '__name__', str(kind or '')).rpartition('.')[2]


def type_name(config: Mapping[str, Any]) -> str:
    """The bare name of a config's ``type``, be it text or a class."""
    return bare_name(config.get('type'))


def library_of(cfg: Mapping[str, Any]) -> str:
    """Tell what library a config is of: its ``default_scope``, or else its model's.

    Pure-Python configs, mmdet's own among them, have classes in place of names and
    no scope to look names up in.

    Returns:
        str: '' where neither says.
    """
    if cfg.get('default_scope'):
        return str(cfg['default_scope'])
    known = {library.scope for library in LIBRARIES}
    return next((s for s in _scopes(cfg.get('model')) if s in known), '')


def _scopes(part: Any) -> Iterator[str]:
    """Where the types of a model's config come from, the outermost first."""
    items: Any = part if isinstance(part, (list, tuple)) else ()
    if isinstance(part, Mapping):
        items = part.values()
        kind = part.get('type')
        # A class of one's own is a library's by what it derives from.
        bases = inspect.getmro(kind) if inspect.isclass(kind) else (kind,)
        for base in bases:
            yield getattr(base, '__module__', str(base)).partition('.')[0]
    for inner in items:
        yield from _scopes(inner)


def _module_of(config: Mapping[str, Any]) -> str:
    """What stands in front of the name of a config's ``type``."""
    kind = config.get('type')
    return getattr(kind, '__module__', str(kind).rpartition('.')[0])


# MMCV evaluates the name of a suppression in the module that has these.
_SUPPRESSIONS = ('nms', 'soft_nms', 'nms_match', 'nms_rotated', 'nms_quadri')
_THEIR_MODULES = ('mmcv.ops', 'mmcv.ops.nms')


def name_suppressions(part: Any) -> None:
    """Write MMCV's functions of non-maximum suppression by their bare names.

    A pure-Python config says ``nms=dict(type=nms)``, and what MMEngine dumps of it
    ``type='mmcv.ops.nms'``: mmcv 2.1 evaluates that text where ``mmcv`` is not
    defined, so that no dumped config predicts anything.

    Args:
        part: A config, or any part of it; changed in place.
    """
    for _, one in dicts_in(part):
        name = type_name(one)
        if name in _SUPPRESSIONS and _module_of(one) in _THEIR_MODULES:
            cast(dict, one)['type'] = name


# Inferencers look for these steps by these very names, and put others in their place.
_READERS = ('LoadImageFromFile', 'LoadAnnotations', 'LoadDepthAnnotation')


def name_readers(part: Any, scope: str | None) -> None:
    """Write the steps that read files by their bare names.

    A pure-Python config says ``dict(type=LoadImageFromFile)``, and what MMEngine dumps
    of it ``type='mmcv.transforms.loading.LoadImageFromFile'``, in which no inferencer
    finds the step. MMCV's reader of images is the one of that name in every scope.

    Args:
        part: A config, or any part of it; changed in place.
        scope: Its library, whose own steps are found by their bare names.
    """
    for _, one in dicts_in(part):
        name, module = type_name(one), _module_of(one)
        everywhere = name == _READERS[0] and module.startswith('mmcv.')
        if everywhere or (name in _READERS and module.partition('.')[0] == scope):
            cast(dict, one)['type'] = name
