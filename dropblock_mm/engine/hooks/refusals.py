"""Has a hook's refusals say which hook they come from."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from dropblock_mm.engine.messages import is_user_mistake

_Init = TypeVar('_Init', bound=Callable[..., None])


def names_the_hook(init: _Init) -> _Init:
    """Decorate an ``__init__`` to put its class before what it refuses.

    Both hooks have a ``keep_prob``, and a config names them in one list.
    """

    @functools.wraps(init)
    def named(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            init(self, *args, **kwargs)
        except (TypeError, ValueError) as error:
            owner = type(self).__name__
            if owner in str(error) or not is_user_mistake(error):
                raise
            raise type(error)(f'{owner}: {error}') from error

    return cast(_Init, named)
