"""RetinaNet, ResNet-50-FPN, from scratch, DropBlock 3x3 (Table 3, row 4).

    tools/dist_train.sh configs/retinanet/*keep90-block3_* 8

trains on 8 GPUs with 8 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`, and below about 8 images per GPU `--cfg-options sync_bn=torch`.
150 epochs on COCO train2017. As the config with block 7, but for the block.

Paper: 38.3 AP, 56.4 AP50, 41.2 AP75 on val2017. Not trained here.
Cost: 1.0e19 floating-point operations, about 310 GPU hours on V100s or 120 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = './retinanet_r50_fpn_sepbn_dropblock-keep90-block7_8xb8-150e-scratch_coco.py'

custom_hooks = _base_.custom_hooks
custom_hooks[0].block_size = 3
