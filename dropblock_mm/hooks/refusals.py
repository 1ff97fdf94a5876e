"""Has a hook's refusals say which hook they come from."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from dropblock_mm.errors import RefusedError

_Init = TypeVar('_Init', bound=Callable[..., None])


def names_the_hook(init: _Init) -> _Init:
    """Decorate an ``__init__`` to put its class before what it refuses.

    Both hooks have a ``keep_prob``, and a config names them in one list.
    """

    @functools.wraps(init)
    def named(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except RefusedError as error:
            owner = type(self).__name__
            if owner in str(error):
                raise
            raise type(error)(f'{owner}: {error}') from error

    return cast(_Init, named)
