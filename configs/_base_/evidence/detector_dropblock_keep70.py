"""As detector_dropblock.py, with keep_prob 0.70."""

_base_ = './detector_dropblock.py'

custom_hooks = _base_.custom_hooks
custom_hooks[1].keep_prob = 0.70
