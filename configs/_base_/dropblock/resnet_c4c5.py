"""DropBlock in conv4_x and conv5_x of a ResNet: the paper's recipe.

What: block 7, keep_prob from 1 to 0.9 linearly over training, groups 3 and 4 (layer3
and layer4), group 3 with a quarter of gamma; after every norm and on the skip
connections (sections 3 and 4.1.1). On COCO, RetinaNet from scratch reaches 38.2 AP with
it, 36.8 without (section 4.3, Table 3); on ImageNet, ResNet-50 reaches 78.13 top-1 with
it, 76.51 without (Table 1). Both train long: 150 and 300 epochs.

How, on any config with a ResNet called ``backbone``::

    python tools/train.py CONFIG --dropblock resnet_c4c5

or in a config of yours, as one of several ``_base_`` (see README.md here).
"""

custom_hooks = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        block_size=7,
        targets=[
            dict(module='backbone.layer3', gamma_scale=0.25),
            dict(module='backbone.layer4'),
        ],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
]
