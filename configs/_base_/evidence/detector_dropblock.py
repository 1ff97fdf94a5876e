"""The paper's DropBlock in layer3 and layer4 of the small detector: blocks of 7."""

_base_ = '../dropblock/resnet_c4c5.py'
