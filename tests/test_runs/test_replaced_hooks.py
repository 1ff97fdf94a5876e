"""Hooks of a base that a config's own replace."""

import pytest
from mmengine.config import Config

from dropblock_mm.runs.replaced_hooks import replaced_hooks

BASE = "custom_hooks = [dict(type='EMAHook'), dict(type='mmdet.PipelineSwitchHook')]\n"


def said(tmp_path, own, base=BASE):
    (tmp_path / 'base.py').write_text(base)
    config = tmp_path / 'own.py'
    config.write_text(own)
    return replaced_hooks(str(config), Config.fromfile(str(config)))


@pytest.mark.parametrize('bases', ["'base.py'", "['base.py']", "['./' + 'base.py']"])
def test_they_are_named_with_the_line_that_keeps_both(tmp_path, bases):
    text = said(tmp_path, f"_base_ = {bases}\ncustom_hooks = [dict(type='Mine')]")
    assert text.startswith(f"custom_hooks of '{tmp_path}/own.py' replaces that of its")
    assert "base 'base.py', so EMAHook and PipelineSwitchHook are gone." in text
    line = text.rpartition('write ')[2].replace('...', "dict(type='Mine')")
    assert not said(tmp_path, f'_base_ = {bases}\n{line}')


def test_of_a_librarys_config(tmp_path):
    text = said(
        tmp_path,
        "_base_ = 'mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py'\n"
        "custom_hooks = [dict(type='EMAHook')]",
    )
    assert 'so PipelineSwitchHook is gone' in text


def test_of_a_pure_python_config(tmp_path):
    start = 'from mmengine.config import read_base\nwith read_base():\n'
    start += '    from .base import *\n'
    hook = "dict(type='Mine')"
    text = said(tmp_path, f'{start}custom_hooks = [{hook}]')
    assert text.endswith('To keep both, write custom_hooks = [*custom_hooks, ...]')
    assert not said(tmp_path, f'{start}custom_hooks = [*custom_hooks, {hook}]')


@pytest.mark.parametrize(
    ('own', 'base'),
    [
        ("_base_ = 'base.py'", BASE),
        ("custom_hooks = [dict(type='Mine')]", BASE),
        ("_base_ = 'base.py'\ncustom_hooks = [dict(type='Mine')]", 'a = 1'),
    ],
)
def test_nothing_is_said_where_nothing_is_lost(tmp_path, own, base):
    assert said(tmp_path, own, base) == ''
