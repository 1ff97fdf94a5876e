"""As dropblock.py, with keep_prob 0.95."""

_base_ = './dropblock.py'

custom_hooks = _base_.custom_hooks
custom_hooks[1].keep_prob = 0.95
