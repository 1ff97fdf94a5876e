"""The points of a grid, and the hooks of each."""

import itertools

import pytest
from mmengine.config import Config

from dropblock_mm import InjectionHook, KeepProbScheduleHook
from dropblock_mm.errors import RefusedValueError
from dropblock_mm.hooks.grid import (
    GROUPS,
    METHODS,
    NONE,
    Point,
    add_point,
    figure,
    grid,
    parse_modules,
)
from dropblock_mm.registry import HOOKS

ALL = grid(METHODS, GROUPS, (0.7, 0.9, 1.0), (1, 7), ('conv', 'both'), (True, False))


def test_every_point_stands_once_under_a_name_of_its_own():
    assert len({point.name for point in ALL}) == len(ALL) == len(set(ALL))
    # Groups, rates and schedules; times blocks and places for those that have them.
    assert len(ALL) == 1 + 2 * 2 * 2 * (2 * 2 + 2 + 2 + 1)
    assert ALL.count(NONE) == 1
    assert Point('dropblock', 'c5', 0.9, 7, 'both', True).name == (
        'dropblock-c5-keep0.9-block7-both-scheduled'
    )


@pytest.mark.parametrize('point', ALL, ids=lambda point: point.name)
def test_the_hooks_are_those_of_the_point(point):
    hooks = [HOOKS.build(hook) for hook in point.hooks(GROUPS.get(point.groups, ()))]
    if point == NONE:
        assert hooks == []
        return
    injection, *schedule = hooks
    assert isinstance(injection, InjectionHook)
    assert [target.module for target in injection.targets] == [
        module for module, _ in GROUPS[point.groups]
    ]
    for target, (_, scale) in zip(injection.targets, GROUPS[point.groups], strict=True):
        layer = target.build()
        assert type(layer).__name__ == METHODS[point.method]
        assert layer.drop_scale == scale
        assert getattr(layer, 'block_size', None) == point.block_size
        assert target.where == point.place
        assert target.keep_prob == (None if point.schedule else point.keep_prob)
    assert [type(hook) for hook in schedule] == [KeepProbScheduleHook] * point.schedule
    assert all(hook.keep_prob == point.keep_prob for hook in schedule)


def test_the_figures_have_the_axes_of_the_paper():
    sizes = {group: set() for group in GROUPS}
    for point in figure('4'):
        if point != NONE:
            assert point.keep_prob == 0.9
            sizes[point.groups].add(point.block_size)
    assert max(sizes['c5']) == 7
    assert max(sizes['c4c5']) == 14
    scheduled = {p for p in figure('3b') if p.schedule}
    assert len(figure('3b')) == 2 * len(scheduled) + 1
    assert {p.method for p in figure('3a')} == {
        'none',
        'dropblock',
        'dropout',
        'spatial-dropout',
    }
    for name in ('3a', '3b', '4'):
        assert len(set(figure(name))) == len(figure(name))


def test_a_point_comes_behind_the_hooks_of_the_config():
    cfg = Config(dict(custom_hooks=[dict(type='EMAHook')]))
    point = Point('dropblock', 'c5', 0.9, 7, 'both', False)
    changed = add_point(cfg, point, GROUPS['c5'])
    assert [hook.type for hook in changed.custom_hooks] == [
        'EMAHook',
        'dropblock_mm.InjectionHook',
    ]
    assert len(cfg.custom_hooks) == 1


def test_modules_are_read():
    assert parse_modules(['a.b:0.25', 'c']) == (('a.b', 0.25), ('c', 1.0))
    for word in ('a:x', 'a:-1', ':1', 'a:'):
        with pytest.raises(RefusedValueError, match='expected MODULE'):
            parse_modules([word])


def test_nothing_varies_where_nothing_can():
    axes = itertools.product(((1,), (1, 7)), (('conv',), ('conv', 'both')))
    for blocks, places in axes:
        paths = grid(('drop-path',), ('c5',), (0.9,), blocks, places, (True,))
        assert paths == [Point('drop-path', 'c5', 0.9, None, 'branch', True)]
