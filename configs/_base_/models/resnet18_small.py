"""A narrow ResNet-18 for images of 32x32 pixels, to be trained from scratch.

mmpretrain's for CIFAR, whose first convolution is 3x3 and keeps the size, with a
quarter of the channels, for speed on CPUs. So is that no normalisation starts at zero:
short trainings would spend a good part on leaving it.
"""

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='ResNet_CIFAR',
        depth=18,
        base_channels=16,
        stem_channels=16,
        num_stages=4,
        out_indices=(3,),
        style='pytorch',
        zero_init_residual=False,
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=10,
        in_channels=128,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
    ),
)
