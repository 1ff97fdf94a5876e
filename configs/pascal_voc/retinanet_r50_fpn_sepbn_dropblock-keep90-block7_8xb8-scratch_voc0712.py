"""RetinaNet, ResNet-50-FPN, from scratch on PASCAL VOC 2007 and 2012, DropBlock 7x7.

    tools/dist_train.sh configs/pascal_voc/*keep90-block7_* 8

As the config without DropBlock, which says what it takes (about 41 to 100 GPU hours),
but for DropBlock in layer3 (with a quarter of gamma) and layer4, keep_prob from 1 to
0.9 linearly over training; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`. Not trained here.
"""

_base_ = [
    './retinanet_r50_fpn_sepbn_8xb8-scratch_voc0712.py',
    '../_base_/dropblock/resnet_c4c5.py',
]
