"""RetinaNet's pyramid and head for segmentation, with ResNet-101, for 513x513 pixels.

As in the paper's implementation (Ghiasi et al. 2018, section 4.4; `resnet_fpn` and
`retinanet_segmentation` in `models/official/retinanet` of tensorflow/tpu):

- a pyramid of P3 to P5 with bilinear upsampling, no normalisation on the lateral
  connections, and batch normalisation on each output;
- a head that shares its convolutions over the levels but not the normalisation, sums
  the levels at P3, and classifies at stride 8;
- cross-entropy at stride 8 over the pixels that are not ignored;
- `align_corners` in every resize: 513, 65, 33 and 17 are 1 more than multiples of
  each other's strides, so corners lie on corners;
- batch normalisation with momentum 0.003 (their decay of 0.997) and eps 1e-4; the last
  of each residual block starts at zero (mmseg's default where nothing is loaded);
- images are padded after normalisation, with zeros, in testing too.

Convolutions in front of a normalisation have no bias here; theirs have one, which the
normalisation takes away again.
"""

norm_cfg = dict(type='BN', momentum=0.003, eps=1e-4, requires_grad=True)
image_size = (513, 513)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=255,
        size=image_size,
        test_cfg=dict(size=image_size),
    ),
    backbone=dict(
        type='ResNet',
        depth=101,
        num_stages=4,
        out_indices=(1, 2, 3),
        frozen_stages=-1,
        norm_cfg=norm_cfg,
        norm_eval=False,
        style='pytorch',
    ),
    neck=dict(
        type='FPN',
        in_channels=[512, 1024, 2048],
        out_channels=256,
        num_outs=3,
        no_norm_on_lateral=True,
        norm_cfg=norm_cfg,
        upsample_cfg=dict(mode='bilinear', align_corners=True),
    ),
    decode_head=dict(
        type='dropblock_mm.RetinaSegHead',
        in_channels=[256, 256, 256],
        channels=256,
        num_convs=3,
        stride=8,
        num_classes=21,
        norm_cfg=norm_cfg,
        align_corners=True,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)
