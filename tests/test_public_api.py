"""The inventory of names that users type; a change here is a change for them."""

import importlib
import inspect

import pytest

import dropblock_mm

# To add a public name, add it here, to __init__.py and to docs/en/api.md.
PUBLIC = {
    'AmoebaNet',
    'DropBlock1d',
    'DropBlock2d',
    'DropBlock3d',
    'DropBlockInjectionHook',
    'DropPath',
    'Dropout',
    'InjectionHook',
    'KeepProbSchedule',
    'KeepProbScheduleHook',
    'KeepRateHook',
    'RetinaSegHead',
    'ScheduledDrop',
    'SpatialDropout',
    '__version__',
    'config_path',
    'detach',
    'detach_drop_block',
    'drop_block_1d',
    'drop_block_2d',
    'drop_block_3d',
    'expected_keep_rate',
    'inject',
    'inject_drop_block',
    'keep_loading_safe',
    'register_block_adapter',
    'resolve_config',
    'seed_rate',
}
REGISTERED = {
    'HOOKS': {
        'ActivationCheckpointingHook',
        'CheckpointHook',
        'DropBlockInjectionHook',
        'InjectionHook',
        'KeepProbScheduleHook',
        'KeepRateHook',
    },
    'MODELS': {
        'AmoebaNet',
        'AmoebaNetHead',
        'ChannelsLast',
        'DropBlock1d',
        'DropBlock2d',
        'DropBlock3d',
        'DropPath',
        'Dropout',
        'RetinaSegHead',
        'SpatialDropout',
    },
    'OPTIMIZERS': {'RMSpropTF'},
    'TRANSFORMS': {'ColorShift'},
}


def test_the_package_exports_exactly_the_inventory():
    assert set(dropblock_mm.__all__) == PUBLIC


@pytest.mark.parametrize('name', sorted(PUBLIC - {'__version__'}))
def test_every_public_name_is_documented(name):
    assert inspect.getdoc(getattr(dropblock_mm, name)), f'{name} has no docstring'


@pytest.mark.parametrize('registry', sorted(REGISTERED))
def test_configs_can_name_what_is_registered(registry):
    parent = getattr(importlib.import_module('mmengine.registry'), registry)
    for name in REGISTERED[registry]:
        assert parent.get(f'dropblock_mm.{name}') is not None, name
