"""As dropblock.py, with keep_prob at its value from the first iteration on."""

_base_ = './dropblock.py'

custom_hooks = _base_.custom_hooks
custom_hooks[1].schedule = 'constant'
