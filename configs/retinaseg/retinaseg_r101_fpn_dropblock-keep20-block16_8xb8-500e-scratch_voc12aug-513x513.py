"""RetinaSeg, ResNet-101-FPN, from scratch, DropBlock 16x16 (Table 4, row 5).

    tools/dist_train.sh configs/retinaseg/*keep20-block16_* 8

trains on 8 GPUs with 8 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`, and below about 8 images per GPU `--cfg-options sync_bn=torch`.
500 epochs on the 10,582 images of PASCAL VOC 2012 with SBD. DropBlock after every
normalisation of the head's convolutions, keep_prob from 1 to 0.2 linearly over
training; what that really drops is in docs/en/segmentation.md.

Paper: 53.4 mIoU on val. Not trained here.
Cost: 1.9e18 floating-point operations, about 60 GPU hours on V100s or 24 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    './retinaseg_r101_fpn_8xb8-500e-scratch_voc12aug-513x513.py',
    '../_base_/dropblock/decode_head.py',
]
