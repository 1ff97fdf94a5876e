"""ResNet-50 for ImageNet, as in the authors' code.

mmpretrain's, with what is TensorFlow's in `resnet_model.py` of tensorflow/tpu's
`models/official/resnet` (see dropblock_mm.models.backbones.TPUResNet): the padding of
the first pooling, and weights of a truncated normal distribution, variance 1 / fan-in.
The stride is on the 3x3 convolution; the last normalisation of each block starts at
zero; normalisation with momentum 0.1 (their decay of 0.9) and eps 1e-5 sees the images
of one GPU, which are 128 there and here; the classifier starts from N(0, 0.01).
"""

model = dict(
    type='ImageClassifier',
    backbone=dict(
        type='dropblock_mm.TPUResNet',
        depth=50,
        num_stages=4,
        out_indices=(3,),
        style='pytorch',
        norm_cfg=dict(type='BN', momentum=0.1, eps=1e-5, requires_grad=True),
        zero_init_residual=True,
    ),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(
        type='LinearClsHead',
        num_classes=1000,
        in_channels=2048,
        loss=dict(type='CrossEntropyLoss', loss_weight=1.0),
        topk=(1, 5),
        init_cfg=dict(type='Normal', layer='Linear', std=0.01),
    ),
)
