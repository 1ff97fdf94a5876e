"""DropBlock in conv5_x of a ResNet only.

What: block 7, keep_prob from 1 to 0.9 linearly over training, group 4 alone (layer4);
after every norm and on the skip connections. It is the milder variant in Figure 4 of
the paper (section 4.1.1), which does best with groups 3 and 4 (resnet_c4c5).

How, on any config with a ResNet called ``backbone``::

    python tools/train.py CONFIG --dropblock resnet_c5

or in a config of yours, as one of several ``_base_`` (see README.md here).
"""

custom_hooks = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        block_size=7,
        targets=[dict(module='backbone.layer4')],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
]
