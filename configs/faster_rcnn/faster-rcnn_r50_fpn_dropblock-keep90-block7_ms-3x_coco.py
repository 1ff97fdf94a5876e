"""Worked example: DropBlock in mmdet's Faster R-CNN, fine-tuned from ImageNet.

The difference is the paper's recipe for a ResNet (sections 3 and 4.1.1): block 7,
layer3 with a quarter of gamma and layer4, keep_prob from 1 to 0.9 linearly. The base
sets no custom_hooks, so none are lost. It trains 36 epochs, mmdet's longest schedule of
this model.

    python tools/train.py \
        configs/faster_rcnn/faster-rcnn_r50_fpn_dropblock-keep90-block7_ms-3x_coco.py

Batch 16: 8 GPUs with 2 images each. Cost: some 110 GPU hours on a V100 in fp32 (an
estimate, docs/en/cost.md). Not trained here; the paper gives no figure for this model.
docs/en/own_detector.md explains the choices.
"""

_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_ms-3x_coco.py'

custom_hooks = [
    dict(
        type='dropblock_mm.DropBlockInjectionHook',
        block_size=7,
        targets=[
            dict(module='backbone.layer3', gamma_scale=0.25),
            dict(module='backbone.layer4'),
        ],
    ),
    dict(type='dropblock_mm.KeepProbScheduleHook', keep_prob=0.9),
]
