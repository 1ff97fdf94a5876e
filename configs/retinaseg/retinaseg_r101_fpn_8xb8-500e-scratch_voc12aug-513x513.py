"""RetinaSeg, ResNet-101-FPN, from scratch, without DropBlock (Table 4, row 2).

    tools/dist_train.sh configs/retinaseg/*fpn_8xb8-500e-scratch_* 8

trains on 8 GPUs with 8 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`, and below about 8 images per GPU `--cfg-options sync_bn=torch`.
500 epochs on the 10,582 images of PASCAL VOC 2012 with SBD. The paper names no drops
of the learning rate for them: epochs 278 and 389 are ours.

Paper: 47.2 mIoU on val. Not trained here.
Cost: 1.9e18 floating-point operations, about 60 GPU hours on V100s or 24 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    '../_base_/models/retinaseg_r101_fpn.py',
    '../_base_/datasets/voc12aug_513.py',
    '../_base_/schedules/sgd_500e_voc12aug.py',
    '../_base_/segmentation_runtime.py',
]
