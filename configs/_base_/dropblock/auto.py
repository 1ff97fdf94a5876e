"""DropBlock in the last two stages of whatever backbone the model has.

What: the paper's rule for a ResNet, block 7, keep_prob from 1 to 0.9 linearly over
training, with a quarter of gamma in the last stage but one, after every norm and on the
skip connections (sections 3 and 4.1.1). Of a ResNet it takes what ``resnet_c4c5``
does. Of another network it takes the last two stages too, which is untried: the log
says which modules these are, and print_sites shows them before.

How, on any config with a convolutional ``backbone``::

    python tools/misc/print_sites.py CONFIG --dropblock auto
    python tools/train.py CONFIG --dropblock auto

or in a config of yours, as one of several ``_base_`` (see README.md here).
"""

_base_ = './resnet_c4c5.py'

custom_hooks = _base_.custom_hooks
custom_hooks[0].targets = 'auto'
