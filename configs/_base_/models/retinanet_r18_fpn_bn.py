"""RetinaNet with ResNet-18 for small images, to be trained from scratch.

Batch normalisation follows every convolution, the heads' included; the heads share
their convolutions over the levels but not the normalisation (`RetinaSepBNHead`),
as in the paper's implementation. For speed on CPUs, and ours: 64 channels in
pyramid and heads, three levels (P3-P5), two convolutions in each head.
Anchors have 16 to 102 pixels, and are square or tall, as digits are. Focal loss, box
loss and matching are the paper's implementation's, but for anchors that fit an object
equally well where none reaches 0.5: all of them are its, not one.
"""

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
    ),
    neck=dict(
        type='FPN',
        in_channels=[64, 128, 256, 512],
        out_channels=64,
        start_level=1,
        num_outs=3,
        norm_cfg=norm_cfg,
    ),
    bbox_head=dict(
        type='RetinaSepBNHead',
        num_classes=10,
        num_ins=3,
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        norm_cfg=norm_cfg,
        anchor_generator=dict(
            type='AnchorGenerator',
            octave_base_scale=2,
            scales_per_octave=3,
            ratios=[1.0, 2.0],
            strides=[8, 16, 32],
        ),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder',
            target_means=[0.0, 0.0, 0.0, 0.0],
            target_stds=[1.0, 1.0, 1.0, 1.0],
        ),
        loss_cls=dict(
            type='FocalLoss', use_sigmoid=True, gamma=1.5, alpha=0.25, loss_weight=1.0
        ),
        loss_bbox=dict(type='SmoothL1Loss', beta=0.1, loss_weight=1.25),
    ),
    train_cfg=dict(
        assigner=dict(
            type='MaxIoUAssigner',
            pos_iou_thr=0.5,
            neg_iou_thr=0.5,
            min_pos_iou=0,
            ignore_iof_thr=-1,
        ),
        sampler=dict(type='PseudoSampler'),
        allowed_border=-1,
        pos_weight=-1,
        debug=False,
    ),
    test_cfg=dict(
        nms_pre=1000,
        min_bbox_size=0,
        score_thr=0.05,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=100,
    ),
)
