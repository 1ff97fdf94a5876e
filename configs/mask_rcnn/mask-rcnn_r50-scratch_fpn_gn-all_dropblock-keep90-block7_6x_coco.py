"""Worked example: DropBlock in mmdet's Mask R-CNN, trained from scratch.

The difference is the paper's recipe for a ResNet (sections 3 and 4.1.1): block 7,
layer3 with a quarter of gamma and layer4, keep_prob from 1 to 0.9 linearly. The base
trains 73 epochs from random weights with group normalization; the paper's detector has
150 epochs and batch normalization.

    python tools/train.py configs/mask_rcnn/\
mask-rcnn_r50-scratch_fpn_gn-all_dropblock-keep90-block7_6x_coco.py

Batch 16: 8 GPUs with 2 images each. Cost: some 400 GPU hours on a V100 in fp32 (an
estimate, docs/en/cost.md). Not trained here; the paper gives no figure for this model.
docs/en/own_detector.md explains the choices.
"""

_base_ = [
    'mmdet::scratch/mask-rcnn_r50-scratch_fpn_gn-all_6x_coco.py',
    '../_base_/dropblock/resnet_c4c5.py',
]
