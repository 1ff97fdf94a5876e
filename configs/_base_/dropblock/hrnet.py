"""DropBlock in the last two stages of an HRNet.

What: the paper's rule for a ResNet, block 7, keep_prob from 1 to 0.9 linearly over
training, with a quarter of gamma in the last stage but one, after every norm and on the
skip connections (sections 3 and 4.1.1). Untried: the paper has no values for this
network, and nobody has trained it with these. A stage of HRNet has
maps of several sizes; all are in it.

How, on any config with an HRNet called ``backbone``::

    python tools/train.py CONFIG --dropblock hrnet

or in a config of yours, as one of several ``_base_`` (see README.md here).
"""

_base_ = './resnet_c4c5.py'

custom_hooks = _base_.custom_hooks
custom_hooks[0].targets = [
    dict(module='backbone.stage3', gamma_scale=0.25),
    dict(module='backbone.stage4'),
]
