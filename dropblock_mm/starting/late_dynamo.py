"""Loads torch's compiler front end when something is compiled, not in every training.

Every optimizer of torch imports ``torch._dynamo``, 300 modules, to tell a compiler what
it must not trace. While nothing is compiled both calls that it makes do nothing, so
a stand-in answers them; whatever else is asked of it loads the real module.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

from dropblock_mm.starting.late_imports import put_real_ones

NAME = 'torch._dynamo'


def load_dynamo_later() -> None:
    """Put the stand-in where torch looks, unless the module is loaded."""
    if NAME not in sys.modules:
        sys.modules[NAME] = _Dynamo()
        sys.meta_path.insert(0, _Inside())


class _Dynamo(ModuleType):
    """What an optimizer needs of ``torch._dynamo``."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.__path__: list[str] = []

    def graph_break(self, msg: str = '') -> None:
        """Breaks a graph that is being traced; none is."""

    def disable(
        self, fn: Callable | None = None, recursive: bool = True, **options: Any
    ) -> Any:
        """Return a function that is not traced, should tracing ever begin."""
        if fn is None:
            return _real().disable(fn, recursive, **options)
        function, hidden = fn, None

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal hidden
            if isinstance(sys.modules[NAME], _Dynamo):
                return function(*args, **kwargs)
            hidden = hidden or _real().disable(function, recursive, **options)
            return hidden(*args, **kwargs)

        return call

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):  # `inspect` asks every module for its file
            raise AttributeError(name)
        return getattr(_real(), name)


class _Inside:
    """Finds modules inside the package, and before that loads the real one."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: Any = None
    ) -> ModuleSpec | None:
        """See :class:`importlib.abc.MetaPathFinder`."""
        if not name.startswith(f'{NAME}.'):
            return None
        package = _real()
        if name in sys.modules:
            return ModuleSpec(name, _Loaded(sys.modules[name]))
        return PathFinder.find_spec(name, package.__path__)


class _Loaded(Loader):
    """Answers with a module that the package brought itself."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """See the class above."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """It has run; give it back the specification that it was loaded by."""
        module.__spec__ = self._spec


def _real() -> ModuleType:
    """The module, in the stand-in's place from now on."""
    if isinstance(sys.modules.get(NAME), _Dynamo):
        del sys.modules[NAME]
        sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, _Inside)]
        put_real_ones()
    return importlib.import_module(NAME)
