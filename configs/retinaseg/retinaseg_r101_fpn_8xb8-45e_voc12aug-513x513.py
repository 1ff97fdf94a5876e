"""RetinaSeg, ResNet-101-FPN, fine-tuned from ImageNet (Table 4, row 1).

    tools/dist_train.sh configs/retinaseg/*fpn_8xb8-45e_* 8

trains on 8 GPUs with 8 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`, and below about 8 images per GPU `--cfg-options sync_bn=torch`.
45 epochs on the 10,582 images of PASCAL VOC 2012 with SBD, from torchvision's weights.
The first convolution and its normalisation stay as they are. In the paper's
implementation the convolution does, and the normalisation learns; mmseg freezes both
or none.

Paper: 74.6 mIoU on val. Not trained here.
Cost: 1.7e17 floating-point operations, about 5 GPU hours on V100s or 2 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    '../_base_/models/retinaseg_r101_fpn.py',
    '../_base_/datasets/voc12aug_513.py',
    '../_base_/schedules/sgd_45e_voc12aug.py',
    '../_base_/segmentation_runtime.py',
]

model = dict(
    backbone=dict(
        frozen_stages=0,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'),
    )
)
