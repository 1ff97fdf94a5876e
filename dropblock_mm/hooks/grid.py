"""A grid of settings, and the hooks of each of its points."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config

from dropblock_mm.errors import RefusedValueError

# How a method is typed, and its layer.
METHODS = {
    'dropblock': 'DropBlock2d',
    'dropout': 'Dropout',
    'spatial-dropout': 'SpatialDropout',
    'drop-path': 'DropPath',
}
PLACES = ('conv', 'both')  # the second is conv and shortcut
# Modules and the factors on their drop rates (sections 4.1.1 of the paper).
Modules = tuple[tuple[str, float], ...]
GROUPS: Mapping[str, Modules] = {
    'c5': (('backbone.layer4', 1.0),),
    'c4c5': (('backbone.layer3', 0.25), ('backbone.layer4', 1.0)),
}


@dataclass(frozen=True)
class Point:
    """One setting of everything.

    Args:
        method: A key of ``METHODS``, or 'none'.
        groups: Name of the modules.
        keep_prob: At the end of training.
        block_size: Of DropBlock; None for the others.
        place: 'conv', 'both', or 'branch' of DropPath.
        schedule: Whether keep_prob falls from 1.
    """

    method: str
    groups: str = ''
    keep_prob: float = 1.0
    block_size: int | None = None
    place: str = ''
    schedule: bool = False

    @property
    def name(self) -> str:
        """Of its folders, such as 'dropblock-c4c5-keep0.9-block7-both-scheduled'."""
        if self == NONE:
            return 'none'
        block = [] if self.block_size is None else [f'block{self.block_size}']
        end = ['scheduled'] if self.schedule else []
        words = [self.method, self.groups, f'keep{self.keep_prob:g}', *block]
        return '-'.join([*words, self.place, *end])

    def hooks(self, modules: Modules) -> list[dict[str, Any]]:
        """Return what its config adds to custom_hooks.

        Args:
            modules: Of its groups.
        """
        if self == NONE:
            return []
        injection: dict[str, Any] = {
            'type': 'dropblock_mm.InjectionHook',
            'layer': METHODS[self.method],
            'where': self.place,
            'targets': [_target(self, name, scale) for name, scale in modules],
        }
        if self.block_size is not None:
            injection['block_size'] = self.block_size
        if not self.schedule:
            return [{**injection, 'keep_prob': self.keep_prob}]
        kind = 'dropblock_mm.KeepProbScheduleHook'
        return [injection, {'type': kind, 'keep_prob': self.keep_prob}]


NONE = Point('none')


def _target(point: Point, module: str, scale: float) -> dict[str, Any]:
    key = 'drop_scale' if point.block_size is None else 'gamma_scale'
    return {'module': module, **({key: scale} if scale != 1 else {})}


def grid(
    methods: Sequence[str],
    groups: Sequence[str],
    keep_probs: Sequence[float],
    block_sizes: Sequence[int],
    places: Sequence[str],
    schedules: Sequence[bool],
) -> list[Point]:
    """List the points of a grid, each once: what a method does not have is left out.

    Only DropBlock has a block size, DropPath has a place of its own, and with
    keep_prob 1 all are the same.
    """
    axes = itertools.product(
        methods, groups, keep_probs, block_sizes, places, schedules
    )
    return list(dict.fromkeys(_point(*values) for values in axes))


def _point(
    method: str, group: str, keep_prob: float, block: int, place: str, schedule: bool
) -> Point:
    if keep_prob == 1:
        return NONE
    return Point(
        method,
        group,
        keep_prob,
        block if method == 'dropblock' else None,
        'branch' if method == 'drop-path' else place,
        schedule,
    )


# The paper gives no values; these cover the axes of its figures.
_KEEP_3A = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
_KEEP_3B = (0.75, 0.8, 0.85, 0.9, 0.95, 1.0)
_COLUMNS = (('conv', False), ('both', False), ('both', True))


def figure(name: str) -> list[Point]:
    """List the points of a figure of the paper: '3a', '3b' or '4'."""
    both, seven = ('c4c5',), (7,)
    if name == '3a':
        methods = ('dropout', 'spatial-dropout')
        plain = grid(methods, both, _KEEP_3A, seven, ('conv',), (False,))
        own = grid(('dropblock',), both, _KEEP_3A, seven, ('both',), (True,))
        return list(dict.fromkeys([*plain, *own]))
    if name == '3b':
        return grid(('dropblock',), both, _KEEP_3B, seven, ('both',), (False, True))
    points: list[Point] = [NONE]
    for group, blocks in (('c5', (1, 3, 5, 7)), ('c4c5', (1, 3, 5, 7, 9, 11, 14))):
        for place, schedule in _COLUMNS:
            where = (group,), (0.9,), blocks, (place,), (schedule,)
            points += grid(('dropblock',), *where)
    return points


FIGURES = ('3a', '3b', '4')


def add_point(cfg: Config, point: Point, modules: Modules) -> Config:
    """Return a config with a point's hooks behind its own; it is not changed."""
    changed = Config(cfg.to_dict())
    own = list(changed.get('custom_hooks') or [])
    changed.custom_hooks = [*own, *point.hooks(modules)]
    return changed


def parse_modules(words: Sequence[str]) -> Modules:
    """Read 'backbone.layer3:0.25 backbone.layer4'.

    Raises:
        RefusedValueError: What follows a colon is no factor.
    """
    found = []
    for word in words:
        module, colon, scale = word.partition(':')
        try:
            factor = float(scale) if colon else 1.0
        except ValueError:
            factor = -1.0
        if factor < 0 or not module:
            raise RefusedValueError(
                f'--modules {word!r}: expected MODULE, or MODULE:FACTOR with what its '
                'drop rate is multiplied by, such as backbone.layer3:0.25.'
            )
        found.append((module, factor))
    return tuple(found)
