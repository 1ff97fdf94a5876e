import pytest
from mmengine.config import Config
from mmengine.hooks import EMAHook

from dropblock_mm.runs.checked_types import check_form_of_hooks, check_registered

GOOD = dict(
    default_scope='mmengine',
    custom_hooks=[dict(type='EMAHook'), dict(type='dropblock_mm.KeepRateHook')],
    default_hooks=dict(logger=dict(type='LoggerHook'), timer=None),
    optim_wrapper=dict(optimizer=dict(type='SGD', lr=1)),
    param_scheduler=[dict(type='LinearLR')],
)


@pytest.mark.parametrize(
    'change',
    [
        {},
        dict(custom_hooks=None, default_hooks=None, param_scheduler=None),
        dict(custom_hooks=(dict(type='EMAHook'),), optim_wrapper=None),
        dict(custom_hooks=[dict(type=EMAHook)], default_scope=None),
        dict(param_scheduler=dict(type='LinearLR')),
        dict(custom_hooks=[dict(type='mmengine.hooks.ema_hook.EMAHook')]),
    ],
)
def test_what_is_right_passes(change):
    cfg = Config(GOOD | change)
    check_form_of_hooks(cfg)
    check_registered(cfg)


def test_hooks_that_a_script_built():
    cfg = Config(dict())
    cfg.custom_hooks = [EMAHook()]
    check_form_of_hooks(cfg)
    check_registered(cfg)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (dict(custom_hooks=3), r'^custom_hooks=3 is not a list .*custom_hooks=\[dict'),
        (dict(custom_hooks='a'), r"^custom_hooks='a' is not a list of hooks"),
        (dict(custom_hooks=dict(type='EMAHook')), r'^custom_hooks=\{.* is not a list'),
        (dict(custom_hooks=['EMAHook']), r"^custom_hooks\.0='EMAHook' is not a hook"),
        (dict(custom_hooks=[None]), r'^custom_hooks\.0=None is not a hook'),
        (
            dict(custom_hooks=[dict(a=1)]),
            r"^custom_hooks\.0=\{'a': 1\} does not say its",
        ),
        (dict(default_hooks=3), r'^default_hooks=3 is not a dict of hooks'),
        (dict(default_hooks=dict(a=3)), r'^default_hooks\.a=3 is not a hook'),
        (
            dict(default_hooks=dict(a=dict())),
            r'^default_hooks\.a=\{\} does not say its',
        ),
    ],
)
def test_form(change, said):
    with pytest.raises((TypeError, ValueError), match=said):
        check_form_of_hooks(Config(GOOD | change))


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        (
            dict(custom_hooks=[dict(type='DropBlockInjectionHook')]),
            r"custom_hooks\.0\.type='DropBlockInjectionHook' .*"
            r"Write type='dropblock_mm\.DropBlockInjectionHook'\.",
        ),
        (dict(custom_hooks=[dict(type='EMAHok')]), r"Write type='EMAHook'"),
        (dict(custom_hooks=[dict(type='torch.nn.Zork')]), 'custom_imports='),
        (
            dict(default_hooks=dict(logger=dict(type='LogerHook'))),
            r"default_hooks\.logger\.type='LogerHook'.*'LoggerHook'",
        ),
        (
            dict(optim_wrapper=dict(optimizer=dict(type='AdamV', lr=1))),
            r"optim_wrapper\.optimizer\.type='AdamV' names no optimizer .*'Adam'",
        ),
        (
            dict(param_scheduler=[dict(type='LinearL')]),
            r"param_scheduler\.0\.type='LinearL' names no .*'LinearLR'",
        ),
    ],
)
@pytest.mark.parametrize('scope', ['mmengine', 'mmdet', None])
def test_names(change, said, scope):
    with pytest.raises(ValueError, match=said):
        check_registered(Config(GOOD | change | dict(default_scope=scope)))
