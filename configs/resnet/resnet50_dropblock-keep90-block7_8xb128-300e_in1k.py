"""ResNet-50 on ImageNet with DropBlock 7x7 (Table 1, row 8).

    tools/dist_train.sh configs/resnet/*_dropblock-*300e* 8

trains on 8 GPUs with 128 images each; with `python tools/train.py` and fewer GPUs add
`--auto-scale-lr`. 300 epochs of 1,251 batches. DropBlock in layer3 (with a quarter of
gamma) and layer4, after each of the three normalisations of a block and on its skip
connection, 36 places in all; keep_prob from 1 to 0.9 linearly over training, by the
iteration. On the 7x7 maps of layer4 a block is the whole map, so whole channels are
dropped there.

Paper: 78.13 top-1, 94.02 top-5 on val, the best of training. Not trained here.
Cost: 9.3e18 floating-point operations, about 290 GPU hours on V100s or 110 on A100s
without mixed precision (estimated from that count, docs/en/cost.md; not measured).
"""

_base_ = [
    './resnet50_8xb128-300e_in1k.py',
    '../_base_/dropblock/resnet_c4c5.py',
]
