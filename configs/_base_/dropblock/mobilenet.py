"""DropBlock in the last two stages of a MobileNetV2.

What: the paper's rule for a ResNet, block 7, keep_prob from 1 to 0.9 linearly over
training, with a quarter of gamma in the last stage but one, after every norm and on the
skip connections (sections 3 and 4.1.1). Untried: the paper has no values for this
network, and nobody has trained it with these. Of MobileNetV3, whose blocks have numbers
of their own, ``auto`` takes the same part.

How, on any config with a MobileNetV2 called ``backbone``::

    python tools/train.py CONFIG --dropblock mobilenet

or in a config of yours, as one of several ``_base_`` (see README.md here).
"""

_base_ = './resnet_c4c5.py'

custom_hooks = _base_.custom_hooks
custom_hooks[0].targets = [
    dict(module=r'backbone\.layer[45]', gamma_scale=0.25),
    dict(module=r'backbone\.layer[67]'),
]
