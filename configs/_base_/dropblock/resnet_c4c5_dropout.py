"""Dropout in conv4_x and conv5_x of a ResNet: a baseline of the paper's.

What: dropout of single units at keep_prob 0.7 in groups 3 and 4 (layer3 and layer4), on
the convolution branches alone, group 3 with a quarter of the drop rate (sections 4.1
and 4.1.1). On ImageNet, ResNet-50 reaches 76.80 top-1 with it, 76.51 without, and 78.13
with DropBlock (Table 1). The paper says nothing of a schedule for it. There is none
here: at block size 1 this is the column of its Figure 4 without schedule.

How, on any config with a ResNet called ``backbone``::

    python tools/train.py CONFIG --dropblock resnet_c4c5_dropout

or in a config of yours, as one of several ``_base_`` (see README.md here).
"""

custom_hooks = [
    dict(
        type='dropblock_mm.InjectionHook',
        layer='Dropout',
        keep_prob=0.7,
        where='conv',
        targets=[
            dict(module='backbone.layer3', drop_scale=0.25),
            dict(module='backbone.layer4'),
        ],
    ),
]
