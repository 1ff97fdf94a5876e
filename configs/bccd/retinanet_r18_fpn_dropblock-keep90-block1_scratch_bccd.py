"""RetinaNet, ResNet-18-FPN, from scratch on blood cells, DropBlock 1x1.

    python tools/train.py configs/bccd/*keep90-block1_*

takes about 2 minutes on one CPU core, evaluation included. As the config with block 7,
but for the block: DropBlock of 1x1 is dropout.
"""

_base_ = './retinanet_r18_fpn_dropblock-keep90-block7_scratch_bccd.py'

custom_hooks = _base_.custom_hooks
custom_hooks[0].block_size = 1
