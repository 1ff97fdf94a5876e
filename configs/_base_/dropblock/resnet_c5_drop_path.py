"""DropPath in conv5_x of a ResNet: a baseline of the paper's.

What: whole residual branches are dropped, by image, in group 4 alone (layer4), with
keep_prob from 1 to 0.9 linearly over training, the same in all its blocks. The paper
tried group 4, groups 3 and 4, and all, and found group 4 best (section 4.1.1). On
ImageNet, ResNet-50 reaches 77.10 top-1 with it, 76.51 without, and 78.13 with DropBlock
(Table 1). For a rate that grows with depth, as in stochastic depth and
ScheduledDropPath, give the target ``grows_with_depth=True``.

How, on any config with a ResNet called ``backbone``::

    python tools/train.py CONFIG --dropblock resnet_c5_drop_path

or in a config of yours, as one of several ``_base_`` (see README.md here).
"""

custom_hooks = [
    dict(
        type='dropblock_mm.InjectionHook',
        layer='DropPath',
        targets=[dict(module='backbone.layer4')],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
]
