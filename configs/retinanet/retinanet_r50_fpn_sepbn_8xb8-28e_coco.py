"""RetinaNet, ResNet-50-FPN, fine-tuned from ImageNet (Table 3, row 1).

    tools/dist_train.sh configs/retinanet/retinanet_r50_fpn_sepbn_8xb8-28e_coco.py 8

trains on 8 GPUs with 8 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`, and below about 8 images per GPU `--cfg-options sync_bn=torch`.
28 epochs on COCO train2017, from torchvision's weights (the package torchvision, which
names their address, has to be installed). The first convolution and its normalisation
stay as they are. In the paper's implementation the convolution does, and the
normalisation learns; mmdet freezes both or none.

Paper: 36.5 AP, 55.0 AP50, 39.1 AP75 on val2017. Not trained here.
Cost: 1.9e18 floating-point operations, about 58 GPU hours on V100s or 23 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    '../_base_/models/retinanet_r50_fpn_sepbn.py',
    '../_base_/datasets/coco_detection_640.py',
    '../_base_/schedules/sgd_28e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        frozen_stages=0,
        init_cfg=dict(
            _delete_=True, type='Pretrained', checkpoint='torchvision://resnet50'
        ),
    )
)
