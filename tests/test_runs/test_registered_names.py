import mmdet.models  # noqa: F401  (registers)
import pytest
from mmengine.registry import HOOKS, MODELS, Registry

from dropblock_mm.runs.registered_names import meant_by, near_names

SAID = '{} is not in the mmdet::{} registry. Please check'


@pytest.mark.parametrize(
    ('name', 'scope', 'meant'),
    [
        ('DropBlockInjectionHook', 'mmdet', ['dropblock_mm.DropBlockInjectionHook']),
        ('mmdet.InjectionHook', 'mmdet', ['dropblock_mm.InjectionHook']),
        ('dropblok_mm.KeepRateHook', 'mmdet', ['dropblock_mm.KeepRateHook']),
        ('EMAHok', 'mmengine', ['EMAHook']),
        ('Zork', 'mmdet', []),
    ],
)
def test_hooks(name, scope, meant):
    assert near_names(name, HOOKS, scope)[: len(meant) or None] == meant


def test_a_namesake_that_needs_no_prefix_comes_before_others():
    root = Registry('thing')
    child = Registry('thing', parent=root, scope='elsewhere')
    for registry in (root, child):
        registry.register_module(name='EMAHook', module=type('EMAHook', (), {}))
    assert near_names('EMAHok', root, 'mmengine') == ['EMAHook']


def test_names_of_the_scope_need_no_prefix():
    assert near_names('RetinaNt', MODELS, 'mmdet')[0] == 'RetinaNet'
    assert near_names('RetinaNt', MODELS, 'mmengine')[0] == 'mmdet.RetinaNet'


def test_what_mmengine_says():
    said = SAID.format('RetinaNt', 'model')
    assert meant_by(said).startswith(" Did you mean type='RetinaNet'")
    assert meant_by(SAID.format('Zork', 'model')) == ''
    assert meant_by(SAID.format('A', 'nothing')) == ''
    assert meant_by('something else') == ''
    said = 'LinearL is not in the parameter scheduler registry.'
    assert "type='LinearLR'" in meant_by(said)
