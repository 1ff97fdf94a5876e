"""SpatialDropout, of whole channels, at the sites and keep rate of dropblock.py."""

_base_ = './dropout.py'

custom_hooks = _base_.custom_hooks
custom_hooks[0].layer = 'SpatialDropout'
