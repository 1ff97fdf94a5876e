"""RetinaSeg on 500 digit scenes, DropBlock 1x1 (dropout) in the head.

    python tools/train.py configs/digit_scenes/*-block1_digit-scenes.py

takes about 2 minutes on one CPU core. As the config with block 4, but for the block.
"""

_base_ = './retinaseg_r18_fpn_dropblock-block4_digit-scenes.py'

custom_hooks = _base_.custom_hooks
custom_hooks[0].block_size = 1
