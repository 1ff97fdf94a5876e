"""Loads later what the libraries import and most trainings never use.

mmdet brings SciPy for CrowdHuman's metric, scikit-learn for tracking, Matplotlib for a
plot of tracking errors; MMEngine brings torchvision to log its version. Here such an
import is answered by a stand-in, which loads the real thing when something is done with
it.

Stand-ins are only given to the modules named in ``LATE``, and only while those are
imported inside :func:`importing_late`; nothing of them is seen in ``sys.modules``. A
stand-in cannot be all that the real thing is: an ``except`` clause takes classes alone.
So a test reads every line of these modules that uses one.
"""

from __future__ import annotations

import builtins
import importlib.metadata
import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

# Who imports, by the beginning of the module's name, and what it gets later.
LATE = {
    # The maintained fork's brings the first three, for rare augmentations.
    'mmdet': ('imagecorruptions', 'imgaug', 'skimage')
    + ('matplotlib', 'scipy', 'sklearn'),
    'mmseg': ('scipy', 'timm'),
    # Its transforms register torchvision's, which are needed then.
    'mmpretrain.models': ('timm', 'torchvision'),
    'mmpretrain.evaluation': ('torchvision',),
    'mmengine.utils': ('torchvision',),
}

_ANY = tuple({name for late in LATE.values() for name in late})
_given_to: list[dict[str, Any]] = []


@contextmanager
def importing_late() -> Iterator[None]:
    """Around whatever imports the libraries."""
    original = builtins.__import__

    def import_(
        name: str,
        globals: dict[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if level == 0 and globals and _is_late(name, globals.get('__name__') or ''):
            _given_to.append(globals)
            top, *inner = name.split('.')
            return _Source(name) if fromlist else _Module(top, inner)
        return original(name, globals, locals, fromlist, level)

    builtins.__import__ = import_  # type: ignore[assignment]
    try:
        yield
    finally:
        builtins.__import__ = original


def put_real_ones() -> None:
    """Replace the stand-ins that modules hold: compilers tell functions by identity."""
    while _given_to:
        names = _given_to.pop()
        for key, value in list(names.items()):
            if isinstance(value, _StandIn):
                names[key] = object.__getattribute__(value, '_real')()


def _is_late(name: str, importer: str) -> bool:
    """Whether it can wait: what is loaded or absent is answered as ever."""
    # Asked at every import, and nearly always ends here.
    if not name.startswith(_ANY) or name in sys.modules:
        return False
    return (
        any(
            _begins(importer, beginning) and any(_begins(name, one) for one in late)
            for beginning, late in LATE.items()
        )
        and importlib.util.find_spec(name.partition('.')[0]) is not None
    )


def _begins(name: str, beginning: str) -> bool:
    return name == beginning or name.startswith(f'{beginning}.')


class _StandIn:
    def __dir__(self) -> list[str]:
        return dir(self._real())

    def _real(self) -> Any:
        raise NotImplementedError


class _Source:
    """What ``from`` takes names out of, which does not load them."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, key: str) -> Any:
        return _Attribute(self._name, key)


class _Module(_StandIn):
    """Stands for a module, which is loaded when something in it is asked for.

    Args:
        name: Of the module.
        inner: Modules in it that ``import a.b as c`` goes through.
    """

    def __init__(self, name: str, inner: Sequence[str] = ()) -> None:
        self._name, self._inner = name, inner

    def _real(self) -> Any:
        return importlib.import_module(self._name)

    def __getattr__(self, key: str) -> Any:
        if self._inner and key == self._inner[0]:
            return _Module(f'{self._name}.{key}', self._inner[1:])
        if key == '__version__':
            return importlib.metadata.version(self._name)
        return getattr(self._real(), key)


class _Attribute(_StandIn):
    """Stands for what a module has: a class, a function, a module.

    It can be called, derived from, asked for instances and for what is in it.
    """

    def __init__(self, module: str, name: str) -> None:
        self._of, self._name = module, name

    def _real(self) -> Any:
        module = importlib.import_module(self._of)
        if not hasattr(module, self._name) and hasattr(module, '__path__'):
            return importlib.import_module(f'{self._of}.{self._name}')
        return getattr(module, self._name)

    def __getattr__(self, key: str) -> Any:
        return getattr(self._real(), key)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._real()(*args, **kwargs)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._real(),)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, self._real())

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._real())
