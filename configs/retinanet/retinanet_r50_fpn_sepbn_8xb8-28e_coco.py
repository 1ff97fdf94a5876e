"""RetinaNet, ResNet-50-FPN, fine-tuned from ImageNet (Table 3, row 1).

    tools/dist_train.sh configs/retinanet/retinanet_r50_fpn_sepbn_8xb8-28e_coco.py 8

trains on 8 GPUs with 8 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`, and below about 8 images per GPU `--cfg-options sync_bn=torch`.
28 epochs on COCO train2017, from torchvision's weights. The first convolution stays as
it is, as in the paper's implementation, and with it its normalisation (which learns on
there: mmdet freezes both or none).

Paper: 36.5 AP, 55.0 AP50, 39.1 AP75 on val2017. Not trained here.
Cost: some 2e18 floating-point operations, or 20 to 100 GPU hours (estimated from the
operation count, not measured).
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
