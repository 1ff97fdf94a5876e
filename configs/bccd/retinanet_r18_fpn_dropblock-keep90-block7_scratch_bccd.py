"""RetinaNet, ResNet-18-FPN, from scratch on blood cells, DropBlock 7x7.

    python tools/train.py configs/bccd/*keep90-block7_*

takes about 2 minutes on one CPU core, evaluation included. The paper's DropBlock
(layer3 with a quarter of gamma, layer4, keep_prob from 1 to 0.9) on maps smaller than
the paper's: a block is 7 of 24x18 units in layer3 and 7 of 12x9 in layer4, where the
paper has 40x40 and 20x20.
"""

_base_ = [
    './retinanet_r18_fpn_scratch_bccd.py',
    '../_base_/dropblock/resnet_c4c5.py',
]
