"""RetinaSeg on 500 digit scenes, DropBlock 4x4 in the head.

    python tools/train.py configs/digit_scenes/*-block4_digit-scenes.py

takes about 2 minutes on one CPU core. DropBlock after every normalisation of the head's
convolutions, keep_prob from 1 to 0.9 linearly over training: the paper's value for
ResNet, because its 0.2 for the head belongs to 500 epochs, and these 16 are too few to
learn with half of the head gone. The maps are 24x24 units, 12x12, 6x6 and 3x3, where
4 is cut to 3 and whole channels go.
"""

_base_ = './retinaseg_r18_fpn_digit-scenes.py'

custom_hooks = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        block_size=4,
        targets=[dict(module='decode_head')],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
]
