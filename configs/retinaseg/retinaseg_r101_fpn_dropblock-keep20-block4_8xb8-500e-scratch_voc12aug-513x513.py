"""RetinaSeg, ResNet-101-FPN, from scratch, DropBlock 4x4 (Table 4, row 4).

    tools/dist_train.sh configs/retinaseg/*keep20-block4_* 8

trains on 8 GPUs with 8 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`, and below about 8 images per GPU `--cfg-options sync_bn=torch`.
500 epochs on the 10,582 images of PASCAL VOC 2012 with SBD. As the config with block
16, but for the block.

Paper: 53.2 mIoU on val. Not trained here.
Cost: 1.9e18 floating-point operations, about 60 GPU hours on V100s or 24 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = (
    './retinaseg_r101_fpn_dropblock-keep20-block16_8xb8-500e-scratch_'
    'voc12aug-513x513.py'
)

custom_hooks = _base_.custom_hooks
custom_hooks[0].block_size = 4
