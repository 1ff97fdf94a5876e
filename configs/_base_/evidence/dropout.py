"""Dropout of single units at the sites and the keep rate of dropblock.py."""

_base_ = './dropblock.py'

custom_hooks = _base_.custom_hooks
custom_hooks[0] = dict(
    type='dropblock_mm.InjectionHook',
    layer='Dropout',
    where='both',
    targets=custom_hooks[0].targets,
)
