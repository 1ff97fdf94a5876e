"""RetinaNet, ResNet-50-FPN, from scratch, DropBlock 7x7 (Table 3, row 6).

    tools/dist_train.sh configs/retinanet/*keep90-block7_* 8

trains on 8 GPUs with 8 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`, and below about 8 images per GPU `--cfg-options sync_bn=torch`.
150 epochs on COCO train2017. DropBlock in layer3 (with a quarter of gamma) and layer4,
keep_prob from 1 to 0.9 linearly over training.

Paper: 38.2 AP, 56.0 AP50, 40.9 AP75 on val2017. Not trained here.
Cost: 1.0e19 floating-point operations, about 310 GPU hours on V100s or 120 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    './retinanet_r50_fpn_sepbn_8xb8-150e-scratch_coco.py',
    '../_base_/dropblock/resnet_c4c5.py',
]
