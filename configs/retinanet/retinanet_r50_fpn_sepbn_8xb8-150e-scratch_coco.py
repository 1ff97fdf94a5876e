"""RetinaNet, ResNet-50-FPN, from scratch, without DropBlock (Table 3, row 2).

    tools/dist_train.sh configs/retinanet/*_sepbn_8xb8-150e-scratch_coco.py 8

trains on 8 GPUs with 8 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`, and below about 8 images per GPU `--cfg-options sync_bn=torch`.
150 epochs on COCO train2017.

Paper: 36.8 AP, 54.6 AP50, 39.4 AP75 on val2017. Not trained here.
Cost: 1.0e19 floating-point operations, about 310 GPU hours on V100s or 120 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    '../_base_/models/retinanet_r50_fpn_sepbn.py',
    '../_base_/datasets/coco_detection_640.py',
    '../_base_/schedules/sgd_150e.py',
    '../_base_/default_runtime.py',
]
