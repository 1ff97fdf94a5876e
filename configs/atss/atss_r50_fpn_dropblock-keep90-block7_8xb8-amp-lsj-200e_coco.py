"""Worked example: DropBlock in mmdet's ATSS, long training in mixed precision.

The difference is the paper's recipe for a ResNet (sections 3 and 4.1.1): block 7,
layer3 with a quarter of gamma and layer4, keep_prob from 1 to 0.9 linearly. The base
trains 200 epochs from ImageNet weights, on images of 1024x1024 with a scale jitter of
0.1 to 2.

    python tools/train.py \
        configs/atss/atss_r50_fpn_dropblock-keep90-block7_8xb8-amp-lsj-200e_coco.py

Batch 64: 8 GPUs with 8 images each. Cost: some 130 GPU hours on an A100 (an estimate,
docs/en/cost.md). Not trained here; the paper gives no figure for this model.
docs/en/own_detector.md explains the choices.
"""

_base_ = [
    'mmdet::atss/atss_r50_fpn_8xb8-amp-lsj-200e_coco.py',
    '../_base_/dropblock/resnet_c4c5.py',
]
