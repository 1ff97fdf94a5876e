"""RetinaNet, ResNet-50-FPN, from scratch on PASCAL VOC 2007 and 2012.

    tools/dist_train.sh configs/pascal_voc/*_sepbn_8xb8-scratch_voc0712.py 8

trains on 8 GPUs with 8 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`, and below about 8 images per GPU `--cfg-options sync_bn=torch`.
400 epochs, evaluated on VOC 2007's test set.

The paper has no such row: model, images and optimizer are those of its Table 3, the
number of epochs is ours. Not trained here.
Cost: 3.3e18 floating-point operations, about 100 GPU hours on V100s or 41 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    '../_base_/models/retinanet_r50_fpn_sepbn.py',
    '../_base_/datasets/voc0712_640.py',
    '../_base_/schedules/sgd_400e_voc0712.py',
    '../_base_/default_runtime.py',
]

model = dict(bbox_head=dict(num_classes=20))
