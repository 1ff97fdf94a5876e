"""RetinaSeg with a narrow ResNet-18 for small images, to be trained from scratch.

Batch normalisation follows every convolution but the lateral ones and the last two; the
head shares its convolutions over the levels but not the normalisation, as in the
paper's implementation. For speed on CPUs, and ours: a backbone of half the width, 64
channels in pyramid and head, two convolutions before the last, and the default momentum
of the normalisation, for short trainings.

The levels are P2 to P5 and the loss is taken at stride 4, because the strokes of digits
are thin. Of the 32x32 logits of a 128x128 image only the 200 with the largest loss
count (mmseg's OHEM sampler): nine in ten are background, and learnt soon.
"""

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size_divisor=32,
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=32,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
    ),
    neck=dict(
        type='FPN',
        in_channels=[32, 64, 128, 256],
        out_channels=64,
        num_outs=4,
        no_norm_on_lateral=True,
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(
        type='dropblock_mm.RetinaSegHead',
        in_channels=[64, 64, 64, 64],
        channels=64,
        num_convs=2,
        stride=4,
        num_classes=11,
        norm_cfg=norm_cfg,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
        sampler=dict(type='OHEMPixelSampler', min_kept=200),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
