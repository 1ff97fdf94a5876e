"""RetinaSeg, a narrow ResNet-18-FPN, on 500 digit scenes, without DropBlock.

    python tools/train.py configs/digit_scenes/retinaseg_r18_fpn_digit-scenes.py

takes about 2 minutes on one CPU core, the data included. It is what the configs with
DropBlock beside it are compared with; `tools/reproduce.py digit_scenes` runs all three
for several seeds.
"""

_base_ = [
    '../_base_/models/retinaseg_r18_fpn_bn.py',
    '../_base_/datasets/digit_scenes_segmentation_96.py',
    '../_base_/schedules/adamw_cosine_16e_digit_scenes.py',
    '../_base_/segmentation_runtime.py',
]

default_hooks = dict(logger=dict(interval=25))
