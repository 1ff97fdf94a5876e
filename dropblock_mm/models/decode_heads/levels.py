"""Checks which of a neck's maps a head is told to take, and their channels."""

from __future__ import annotations

from typing import Any

from dropblock_mm.errors import RefusedTypeError, RefusedValueError


def check_same_channels(in_channels: Any) -> None:
    """Raise unless ``in_channels`` lists one number, once for each level.

    Raises:
        TypeError: If it is no list or tuple.
        ValueError: If it is empty or its numbers differ.
    """
    if not isinstance(in_channels, list | tuple):
        raise RefusedTypeError(
            f'in_channels={in_channels!r} of RetinaSegHead is no list. Give the '
            'channels of each level, such as [256, 256, 256] for P3 to P5.'
        )
    if len(set(in_channels)) != 1:
        raise RefusedValueError(
            f'in_channels={in_channels!r} of RetinaSegHead: the levels share their '
            'convolutions, so all must have the same channels. Put an FPN in front.'
        )


def check_index(in_index: Any, levels: int) -> None:
    """Raise unless ``in_index`` lists a map of the neck's for each level.

    Raises:
        TypeError: If it is no list or tuple.
        ValueError: If it has another length than ``in_channels``.
    """
    if not isinstance(in_index, list | tuple):
        raise RefusedTypeError(
            f'in_index={in_index!r} of RetinaSegHead is no list. Give the index of '
            "the neck's map for each level, such as [0, 1, 2]."
        )
    if len(in_index) != levels:
        raise RefusedValueError(
            f'in_index={in_index!r} of RetinaSegHead: {levels} indices were expected, '
            'one for each of in_channels.'
        )
