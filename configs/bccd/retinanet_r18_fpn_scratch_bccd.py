"""RetinaNet, ResNet-18-FPN, from scratch on blood cells, without DropBlock.

    python tools/train.py configs/bccd/retinanet_r18_fpn_scratch_bccd.py

takes about 2 minutes on one CPU core, evaluation included. It is the baseline of a
study small enough for a laptop; the paper has no such row.

Made for images of 192x144 pixels: a backbone of 24 channels instead of 64 that halves
the resolution four times instead of five, so that layer3 puts out maps of 24x18 units
and layer4 of 12x9, in which a block of 7x7 has room. The pyramid has strides 8, 16 and
32, with square anchors of 12 to 76 pixels; platelets, red and white cells have about
11, 30 and 57.
"""

_base_ = [
    '../_base_/models/retinanet_r18_fpn_bn.py',
    '../_base_/datasets/bccd_192x144.py',
    '../_base_/schedules/adamw_cosine_20e_bccd.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(base_channels=24, strides=(1, 1, 2, 2)),
    neck=dict(
        in_channels=[24, 48, 96, 192], start_level=2, add_extra_convs='on_output'
    ),
    bbox_head=dict(
        num_classes=3,
        anchor_generator=dict(octave_base_scale=1.5, ratios=[1.0]),
    ),
    train_cfg=dict(assigner=dict(gt_max_assign_all=False)),
)
default_hooks = dict(logger=dict(interval=13))
