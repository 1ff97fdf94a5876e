"""DropBlock in conv5_x of a ResNet only.

What: block 7, keep_prob from 1 to 0.9 linearly over training, group 4 alone (layer4);
after every norm and on the skip connections. It is the milder variant in Figure 4 of
the paper (section 4.1.1), which does best with groups 3 and 4 (resnet_c4c5).

How, on any config with a ResNet called ``backbone``::

    python tools/train.py CONFIG --dropblock resnet_c5

or in a config of yours, as one of several ``_base_`` (see README.md here).
"""

_base_ = './resnet_c4c5.py'

custom_hooks = _base_.custom_hooks
custom_hooks[0].targets = [dict(module='backbone.layer4')]
